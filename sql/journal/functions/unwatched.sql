-- Relations of a covered table whose changes may have gone unrecorded: partitions that were attached later, and those
-- whose capture triggers are not as cover left them. A partition that was detached is no longer the table's.
create function journal.unwatched(covered journal.covered_table) returns table (member oid, attached_by xid8)
language sql stable
begin atomic
    select r.member, case when c.relation is null then journal.attached_by(r.member) end
      from journal.relations_of(covered.relation) r
      left join journal.capture c on c.segment_id = covered.segment_id and c.relation = r.member
     where c.relation is null or not journal.marks_hold(c.trigger_marks, journal.trigger_marks(r.member));
end;

comment on function journal.unwatched(journal.covered_table) is 'Relations of a covered table with a gap; attached_by is null where triggers were touched.';
