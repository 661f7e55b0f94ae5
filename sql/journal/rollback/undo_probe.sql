-- Finds maintained columns: those that change even in an update that changes nothing (updated_at, a version number). One
-- row of each table with BEFORE UPDATE row triggers is updated to itself in a subtransaction that is rolled back. What
-- cannot be probed (no row, no right, a lock) counts as not maintained: at worst a conflict is reported.
create function journal.undo_probe(relation oid) returns int2[]
language plpgsql volatile
as $undo_probe$
#variable_conflict use_variable
declare
    maintained int2[];
    target     constant text := journal.undo_rows(relation);
    columns    text;
    themselves text;
    tests      text;
begin
    if not exists (select from pg_trigger t where t.tgrelid = relation and not t.tgisinternal and t.tgtype & 19 = 19 and t.tgenabled in ('O', 'A')) then
        return '{}';
    end if;
    select string_agg(c.name, ', ') filter (where settable), string_agg('x.' || c.name, ', ') filter (where settable),
           string_agg(format('case when pg_catalog.record_image_ne(row(x.%1$s), row(t.%1$s)) then %2$s end', c.name, c.attnum), ', ')
      into columns, themselves, tests
      from pg_temp.journal_undo_column c
      join pg_temp.journal_undo u using (relation)
      join pg_attribute a on a.attrelid = c.relation and a.attnum = c.attnum
     cross join lateral (select (c.attnum = any (u.changed) or u.changed = '{}' and c.key_position is null and has_column_privilege(c.relation, c.attnum, 'update'))
                                and a.attidentity <> 'a' as settable) s
     where c.relation = undo_probe.relation and c.problem is null and not c.generated;
    if columns is null then
        return '{}';
    end if;
    begin
        perform set_config('lock_timeout', '50ms', true), journal.undo_as_caller(true);
        execute format('with x as materialized (select x.*, x.ctid, x.tableoid from %1$s x limit 1 for no key update skip locked),
                             t as (update %1$s t set (%2$s) = row(%3$s) from x where t.ctid operator(pg_catalog.=) x.ctid and t.tableoid operator(pg_catalog.=) x.tableoid returning t.*)
                        select pg_catalog.array_remove(array[%4$s]::int2[], null) from x, t',
                       target, columns, themselves, tests)
           into maintained;
        raise exception using errcode = 'JR999';
    exception
        when sqlstate 'JR999' then
            perform journal.undo_as_caller(false);
            return coalesce(maintained, '{}');
        when others then  -- whatever the user's own triggers raise: then nothing is known, and nothing counts as maintained
            perform journal.undo_as_caller(false);
            return '{}';
    end;
end
$undo_probe$;

comment on function journal.undo_probe(oid) is 'Columns of a table that its own triggers maintain. Leaves no trace. Private.';
