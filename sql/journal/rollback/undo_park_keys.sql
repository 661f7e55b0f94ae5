-- Parks the rows whose changed keys wait for each other in a circle, and notes in the work table where they are now: at new values of the columns that
-- changed, or of another one of the key where those have none. False where no column has a value to park at, or the key is deferrable and needs none.
create function journal.undo_park_keys(relation oid) returns boolean
language plpgsql volatile
as $undo_park_keys$
#variable_conflict use_variable
declare
    attnums constant int2[] := journal.undo_key_attnums(relation);
    item    record;
begin
    select string_agg(format('%s = %s', k.name, k.parking), ', ') as parked, string_agg(format('%s as now%s', k.live, k.attnum), ', ') as now,
           string_agg(format('a%1$s = parked.now%1$s', k.attnum), ', ') as noted into item
      from (select c.attnum, c.name, p.parking, journal.undo_live('t', c.name, c.as_text, c.live_type, c.base_type) as live,
                   rank() over (order by c.attnum = any (u.restored) desc) as choice
              from pg_temp.journal_undo u
              join pg_temp.journal_undo_column c on c.relation = u.relation and c.key_position is not null
             cross join lateral journal.undo_parking(relation, c.attnum, false, false) as p (parking)
             where u.relation = undo_park_keys.relation and p.parking is not null
               and (c.attnum = any (u.restored) or not exists (select from journal.undo_foreign_keys(u.relation) f where f.parent = u.relation and c.attnum = any (f.parent_attnums) and f.on_update in ('n', 'd')))
               and exists (select from journal.unique_columns(relation) i where i.primary_key and i.immediate)) k
     where k.choice = 1;
    if item.parked is null then
        return false;
    end if;
    perform journal.undo_execute(format(
        'with parked as (update %1$s t set %2$s from pg_temp.journal_undo_%3$s u
                          where u.status operator(pg_catalog.=) ''restore'' and not u.moved and u.restored operator(pg_catalog.&&) %4$L::int2[] and %5$s
                         returning u.row_no, %6$s)
         update pg_temp.journal_undo_%3$s u set %7$s from parked where parked.row_no operator(pg_catalog.=) u.row_no',
        journal.undo_rows(relation), item.parked, relation, attnums, journal.undo_key_match(relation, 'u.a%1$s'), item.now, item.noted));
    return true;
end
$undo_park_keys$;

comment on function journal.undo_park_keys(oid) is 'Parks rows whose changed keys wait for each other. Private.';
