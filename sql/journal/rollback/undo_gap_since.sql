-- Since when changes of a table may be missing now: since it was covered last, if its triggers are not as they were then; since
-- it was uncovered; null if never. A partition that was attached after the sessions' last transaction matters nothing to them.
create function journal.undo_gap_since(relation oid, session_ids uuid[]) returns timestamptz
language plpgsql stable security definer
set search_path = pg_catalog, pg_temp
as $undo_gap_since$
declare
    covered  journal.covered_table;
    their_xid constant xid := (select max(b.transaction_id)::xid from journal.binding b where b.session_id = any (session_ids) and b.cluster = journal.cluster_id());
begin
    select * into covered from journal.covered_table c where c.relation = undo_gap_since.relation;
    if covered.relation is null then
        return (select max(s.until_at) from journal.segment s where s.relation = undo_gap_since.relation);
    elsif covered.trigger_marks <> journal.trigger_marks(relation)
          or exists (select from journal.relations_of(relation) r
                      where not exists (select from journal.capture c where c.segment_id = covered.segment_id and c.relation = r.member)
                        and (select min(age(i.xmin)) from pg_partition_ancestors(r.member) a join pg_inherits i on i.inhrelid = a.relid) >= age(their_xid)) then
        return covered.covered_at;
    end if;
    return null;
end
$undo_gap_since$;

comment on function journal.undo_gap_since(oid, uuid[]) is 'Since when changes of a table may be missing. Private.';
