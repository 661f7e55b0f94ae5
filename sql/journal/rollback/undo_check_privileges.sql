-- A rollback writes as its caller and escalates nothing: what the caller may not write is refused before anything is
-- touched, per status and column.
create function journal.undo_check_privileges(relation oid) returns void
language plpgsql volatile
as $undo_check_privileges$
#variable_conflict use_variable
declare
    forbidden int2[];
    plan      record;
    refused   boolean := false;
begin
    select * into plan from pg_temp.journal_undo u where u.relation = undo_check_privileges.relation;
    forbidden := array(select c from unnest(plan.restored) c where not has_column_privilege(relation, c, 'update'));
    if forbidden <> '{}' then
        execute format('update pg_temp.journal_undo_%s u set status = ''refuse'', reason = ''no_privilege'', culprit = (select c from unnest(u.restored) c where c = any ($1) limit 1)
                         where u.status = ''restore'' and u.restored && $1', relation) using forbidden;
        refused := true;
    end if;
    if plan.removes and not has_table_privilege(relation, 'delete') then
        execute format('update pg_temp.journal_undo_%s u set status = ''refuse'', reason = ''no_privilege'' where u.status = ''remove''', relation);
        refused := true;
    end if;
    if plan.reinserts and exists (select from pg_temp.journal_undo_column c where c.relation = undo_check_privileges.relation and c.carried and c.problem is null
                                     and not has_column_privilege(relation, c.attnum, 'insert')) then
        execute format('update pg_temp.journal_undo_%s u set status = ''refuse'', reason = ''no_privilege'' where u.status = ''reinsert''', relation);
        refused := true;
    end if;
    if refused then
        perform journal.undo_group(relation);
    end if;
end
$undo_check_privileges$;

comment on function journal.undo_check_privileges(oid) is 'Turns rows away that the caller may not write. Private.';
