-- Status, reason and fix of one table's coverage: the one home of the rules that the coverage view shows.
create function journal.coverage_state(relation regclass) returns jsonb
language plpgsql stable security definer
set search_path = pg_catalog, pg_temp
as $coverage_state$
declare
    covered journal.covered_table;
    segment journal.segment;
    shape   journal.segment;
    reason  text := journal.why_not_coverable(relation);
    fix     text := format('journal cover %s', journal.qualified_name(relation));
begin
    select * into covered from journal.covered_table c where c.relation = coverage_state.relation;
    if covered.relation is null then
        return case when reason is null then jsonb_build_object('status', 'uncovered', 'fix', fix)
                    else jsonb_build_object('status', 'uncoverable', 'reason', reason) end;
    end if;
    if covered.trigger_marks <> journal.trigger_marks(relation) then
        return jsonb_build_object('status', 'gap', 'reason', 'its capture triggers were disabled, dropped or changed', 'fix', fix);
    end if;
    select * into segment from journal.segment s where s.segment_id = covered.segment_id;
    shape := journal.present_shape(relation, covered.excluded);
    if shape.attnums <> segment.attnums or shape.types <> segment.types or shape.key is distinct from segment.key then
        return jsonb_build_object('status', 'stale', 'reason', coalesce(reason, 'its shape changed since it was covered'), 'fix', fix);
    end if;
    return jsonb_build_object('status', 'covered');
end
$coverage_state$;

comment on function journal.coverage_state(regclass) is 'Status (covered, stale, gap, uncovered, uncoverable), reason and fix of a table''s coverage.';
