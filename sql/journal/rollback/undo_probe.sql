-- Finds maintained columns: those that change even in an update that changes nothing (updated_at, a version number). One
-- row of each table with BEFORE UPDATE row triggers is updated to itself in a subtransaction that is rolled back. What
-- cannot be probed (no row, no right, a lock) counts as not maintained: at worst a conflict is reported.
create function journal.undo_probe(relation oid) returns int2[]
language plpgsql volatile
as $undo_probe$
#variable_conflict use_variable
declare
    maintained int2[];
    target     text := (select u.target from pg_temp.journal_undo u where u.relation = undo_probe.relation);
    columns    text;
begin
    if not exists (select from pg_catalog.pg_trigger t where t.tgrelid = relation and not t.tgisinternal and t.tgtype & 19 = 19 and t.tgenabled in ('O', 'A')) then
        return '{}';
    end if;
    execute format('select string_agg(quote_ident(a.attname), '', '') from pg_catalog.pg_attribute a
                     where a.attrelid = %1$s and a.attnum = any (array(select distinct c from pg_temp.journal_undo_%1$s u, unnest(u.changed) c))
                       and a.attnum > 0 and not a.attisdropped and a.attidentity <> ''a'' and a.attgenerated = ''''', relation)
       into columns;
    if columns is null then
        return '{}';
    end if;
    begin
        perform pg_catalog.set_config('lock_timeout', '50ms', true);
        perform journal.undo_search_path(true);
        execute format('with x as materialized (select x.*, x.ctid from only %1$s x join pg_temp.journal_undo_%2$s u on %3$s
                                                 where u.kind operator(pg_catalog.=) ''U'' limit 1),
                             t as (update only %1$s t set (%4$s) = row(%5$s) from x where t.ctid operator(pg_catalog.=) x.ctid returning t.*)
                        select pg_catalog.array_remove(array[%6$s]::int2[], null) from x, t',
                       target, relation, journal.undo_key_match(relation, 'u.a%1$s', 'x'), columns,
                       (select string_agg('x.' || c, ', ') from pg_catalog.regexp_split_to_table(columns, ', ') c),
                       journal.undo_list(relation, 'case when pg_catalog.record_image_ne(row(%5$s), row(%6$s)) then %1$s end', ', ', 'live'))
           into maintained;
        raise exception using errcode = 'JR000';
    exception
        when sqlstate 'JR000' then
            return coalesce(maintained, '{}');
        when insufficient_privilege or lock_not_available or raise_exception or integrity_constraint_violation then
            return '{}';
    end;
end
$undo_probe$;

comment on function journal.undo_probe(oid) is 'Columns of a table that its own triggers maintain. Leaves no trace. Private.';
