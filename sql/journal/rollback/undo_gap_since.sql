-- Since when changes of a table may be missing now: since it was covered last, if its triggers are not as they were then; since
-- it was uncovered; null if never. A partition that was attached after the sessions' last transaction matters nothing to them.
create function journal.undo_gap_since(relation oid, session_ids uuid[]) returns timestamptz
language plpgsql stable security definer
set search_path = pg_catalog, pg_temp
as $undo_gap_since$
declare
    covered journal.covered_table;
begin
    select * into covered from journal.covered_table c where c.relation = undo_gap_since.relation;
    if covered.relation is null then
        return (select max(s.until_at) from journal.segment s where s.relation = undo_gap_since.relation);
    elsif exists (select from journal.unwatched(covered) u where not journal.undo_is_older(session_ids, u.attached_by, journal.cluster_id())) then
        return covered.covered_at;
    end if;
    return null;
end
$undo_gap_since$;

comment on function journal.undo_gap_since(oid, uuid[]) is 'Since when changes of a table may be missing. Private.';
