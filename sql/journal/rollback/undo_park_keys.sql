-- Parks the rows whose changed keys wait for each other in a circle, and notes in the work table where they are now. False
-- where the key has no column with a value to park at, or is deferrable and needs none.
create function journal.undo_park_keys(relation oid) returns boolean
language plpgsql volatile
as $undo_park_keys$
#variable_conflict use_variable
declare
    attnums constant int2[] := journal.undo_key_attnums(relation);
    item    record;
begin
    select p.attnum, p.parking, c.name, c.as_text, c.live_type, c.base_type into item
      from journal.unique_columns(relation) i
      join pg_temp.journal_undo u on u.relation = undo_park_keys.relation
     cross join lateral (
           select a.attnum, journal.undo_parking(relation, a.attnum, false, false) as parking
             from unnest(attnums) as a (attnum) where a.attnum = any (u.restored)) p
      join pg_temp.journal_undo_column c on c.relation = undo_park_keys.relation and c.attnum = p.attnum
     where i.primary_key and i.immediate and p.parking is not null
     limit 1;
    if not found then
        return false;
    end if;
    perform journal.undo_execute(format(
        'with parked as (update %1$s t set %2$s = %3$s from pg_temp.journal_undo_%4$s u
                          where u.status operator(pg_catalog.=) ''restore'' and not u.moved and %5$s operator(pg_catalog.=) any (u.restored) and %6$s
                         returning u.row_no, %7$s as now)
         update pg_temp.journal_undo_%4$s u set a%5$s = parked.now from parked where parked.row_no operator(pg_catalog.=) u.row_no',
        journal.undo_rows(relation), item.name, item.parking, relation, item.attnum, journal.undo_key_match(relation, 'u.a%1$s'),
        journal.undo_live('t', item.name, item.as_text, item.live_type, item.base_type)));
    return true;
end
$undo_park_keys$;

comment on function journal.undo_park_keys(oid) is 'Parks the rows whose keys wait for each other. Private.';
