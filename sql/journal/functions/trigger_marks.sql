-- What the triggers of a relation that capture, or bear the name of one that does, look like now: name, state and function; where that was seen; oid and xmin. Disabling
-- and enabling a trigger again leaves the same state under a new xmin, so a comparison with the marks kept at cover shows every
-- gap, without superuser.
create function journal.trigger_marks(relation oid) returns text[]
language sql stable
begin atomic
    select coalesce(pg_catalog.array_agg(pg_catalog.concat_ws('|', pg_catalog.concat_ws(' ', t.tgname, t.tgenabled, p.proname),
                                                              pg_catalog.concat_ws(':', journal.cluster_id(), d.oid),
                                                              pg_catalog.concat_ws(':', t.oid, t.xmin)) order by t.tgname), '{}')
      from pg_catalog.pg_trigger t
      join pg_catalog.pg_proc p on p.oid = t.tgfoid
      join pg_catalog.pg_database d on d.datname = pg_catalog.current_database()
     where t.tgrelid = relation and t.tgparentid = 0
       and (t.tgname in ('journal_insert', 'journal_update', 'journal_delete', 'journal_truncate') or t.tgname like 'journal\_merge\_%'
            or journal.is_capture(t.tgfoid));
end;

comment on function journal.trigger_marks(oid) is 'State and identity of the capture triggers of a relation.';
