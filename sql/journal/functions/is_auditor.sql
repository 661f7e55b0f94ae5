-- Who sees images that no present privilege can decide about: members of journal_auditor, or of the journal's owner
-- where the cluster has no such role.
create function journal.is_auditor(role_name name) returns boolean
language sql stable
begin atomic
    select coalesce(
        (select pg_catalog.pg_has_role(role_name, r.oid, 'usage') from pg_catalog.pg_roles r where r.rolname = 'journal_auditor'), false)
        or pg_catalog.pg_has_role(role_name, (select n.nspowner from pg_catalog.pg_namespace n where n.nspname = 'journal'), 'usage');
end;

comment on function journal.is_auditor(name) is 'Whether a role may see every image.';
