-- The statements that one table needs in one phase of a rollback, as text; barrier counts what must run before. Updates come
-- one for each distinct set of columns: a column that a row did not change is not named, for the sake of column privileges
-- and of triggers on columns. Maintained columns are left to their triggers.
create function journal.undo_statement_of(relation oid, phase text, by_triggers boolean, barrier text) returns setof text
language plpgsql volatile
as $undo_statement_of$
#variable_conflict use_variable
declare
    target text := journal.qualified_name(relation);
    rows   text := journal.undo_rows(relation);
    work   text := 'pg_temp.journal_undo_' || relation;
    mine   text := format('u.status operator(pg_catalog.=) %L and %s', phase, case when by_triggers then 'u.depth operator(pg_catalog.>) 1' else 'u.depth operator(pg_catalog.<=) 1' end);
    columns int2[];
begin
    if not exists (select from pg_temp.journal_undo_group g
                    where g.relation = undo_statement_of.relation and g.status = phase and g.by_triggers = undo_statement_of.by_triggers) then
        return;
    end if;
    if phase = 'remove' then
        return next format('delete from %s t using %s u where %s and %s%s returning true as as_meant', rows, work, mine, journal.undo_key_match(relation, 'u.a%1$s'),
                           case when (select u.restored && journal.undo_key_attnums(relation) from pg_temp.journal_undo u where u.relation = undo_statement_of.relation)
                                then ' and not u.moved' else '' end);  -- at its key there is another by now (undo_clear_way)
    elsif phase = 'reinsert' then
        return next format('insert into %1$s (%2$s) overriding system value select %3$s from %4$s u where %5$s and %7$s operator(pg_catalog.>=) 0%6$s order by u.row_no returning false as as_meant',
                           target, journal.undo_list(relation, '%2$s', ', ', 'live'), journal.undo_list(relation, '%6$s', ', ', 'live'), work, mine,
                           case when by_triggers or journal.undo_by_triggers(relation) then format(' and not exists (select from %s t where %s and journal.undo_is_ours(t.xmin))', rows, journal.undo_key_match(relation, 'u.b%1$s')) else '' end, barrier);
    else
        for columns in select distinct g.restored from pg_temp.journal_undo_group g
                        where g.relation = undo_statement_of.relation and g.status = phase and g.by_triggers = undo_statement_of.by_triggers
        loop
            continue when columns = '{}';
            return next journal.undo_update(relation, columns, mine, barrier);
        end loop;
    end if;
end
$undo_statement_of$;

comment on function journal.undo_statement_of(oid, text, boolean, text) is 'The statements of one table in one phase of a rollback. Private.';
