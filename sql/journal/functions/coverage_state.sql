-- Status, reason and fix of one table's coverage: the one home of the rules that the coverage view shows. A partition is
-- covered as part of the table it belongs to.
create function journal.coverage_state(relation regclass) returns jsonb
language plpgsql stable security definer
set search_path = pg_catalog, pg_temp
set quote_all_identifiers = off
as $coverage_state$
declare
    root    constant regclass := coalesce(pg_partition_root(relation), relation);
    covered journal.covered_table;
    reason  text;
begin
    select * into covered from journal.covered_table c where c.relation = root;
    if covered.relation is null then
        return journal.uncovered_state(relation);
    end if;
    reason := journal.why_gap(covered);
    if reason is not null then
        return jsonb_build_object('status', 'gap', 'reason', reason, 'fix', journal.cover_command(covered), 'gap_since', covered.covered_at);
    end if;
    reason := journal.why_stale(covered);
    if reason is not null then
        return jsonb_build_object('status', 'stale', 'reason', reason, 'fix', journal.cover_command(covered));
    end if;
    reason := journal.why_unsure(covered);
    if reason is not null then
        return jsonb_build_object('status', 'covered', 'reason', reason, 'fix', journal.cover_command(covered));
    end if;
    return jsonb_build_object('status', 'covered');
end
$coverage_state$;

comment on function journal.coverage_state(regclass) is 'Status (covered, stale, gap, uncovered, uncoverable), reason and fix of a table''s coverage.';
