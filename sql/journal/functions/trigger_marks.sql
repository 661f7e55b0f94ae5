-- What the capture triggers look like now, on every relation of the table. Disabling and enabling a trigger again leaves the
-- same state under a new xmin, so a comparison with the marks kept at cover shows every gap, without superuser.
create function journal.trigger_marks(relation oid) returns text[]
language sql stable
begin atomic
    select coalesce(pg_catalog.array_agg(pg_catalog.concat_ws(':', t.tgname, t.oid, t.tgenabled, t.tgfoid, t.xmin) order by t.tgrelid, t.tgname), '{}')
      from journal.relations_of(relation) r
      join pg_catalog.pg_trigger t on t.tgrelid = r.member
     where t.tgname in ('journal_insert', 'journal_update', 'journal_delete', 'journal_truncate');
end;

comment on function journal.trigger_marks(oid) is 'Name, oid, state, function and xmin of the capture triggers of a table.';
