-- The state of a table that is not covered: can it be, and how.
create function journal.uncovered_state(relation regclass) returns jsonb
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $uncovered_state$
declare
    fix    constant text := format('journal cover %s', journal.qualified_name(coalesce(pg_partition_root(relation), relation)));
    reason constant text := journal.why_not_coverable(relation);
begin
    if cardinality(journal.trigger_marks(relation)) > 0 then
        return jsonb_build_object('status', 'gap', 'reason', 'it has capture triggers but is not covered', 'fix', format('journal uncover %s', journal.qualified_name(relation)));
    elsif reason is null or (select c.relispartition from pg_class c where c.oid = relation) then
        return jsonb_build_object('status', 'uncovered', 'fix', fix);
    elsif journal.why_not_coverable(relation, false) is null then
        return jsonb_build_object('status', 'uncovered', 'reason', reason || ': its changes can be recorded but not undone', 'fix', fix || ' --audit-only');
    end if;
    return jsonb_build_object('status', 'uncoverable', 'reason', reason);
end
$uncovered_state$;

comment on function journal.uncovered_state(regclass) is 'Status, reason and fix of a table that is not covered.';
