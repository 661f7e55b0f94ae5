-- Relations of a covered table whose changes may have gone unrecorded: partitions that were attached later, and those
-- whose capture triggers are not as cover left them. A partition that was detached is no longer the table's. Cover refuses a
-- table that takes part in inheritance: where one does, a table came to inherit from it, or it from another, later.
create function journal.unwatched(covered journal.covered_table) returns table (member oid, attached_by xid8)
language sql stable
begin atomic
    select r.member, case when c.relation is null then journal.attached_by(r.member) end
      from journal.relations_of(covered.relation) r
      left join journal.capture c on c.segment_id = covered.segment_id and c.relation = r.member
     where c.relation is null or not journal.marks_hold(c.trigger_marks, journal.trigger_marks(r.member))
     union all
    select i.inhrelid, journal.attached_by(i.inhrelid)
      from pg_catalog.pg_inherits i
      join pg_catalog.pg_class t on t.oid = i.inhparent and t.relkind = 'r'
     where covered.relation in (i.inhrelid, i.inhparent);
end;

comment on function journal.unwatched(journal.covered_table) is 'Relations of a covered table with a gap; attached_by is null where triggers were touched.';
