-- A TRUNCATE shows its rows to no trigger: capture reads them from the table, so the journal's owner needs the right to.
-- Runs as the table's owner. Where a column is excluded the right is not given, and TRUNCATE is refused.
create function journal.let_capture_read(relation oid, allowed boolean) returns void
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $let_capture_read$
declare
    reader constant oid := (select n.nspowner from pg_namespace n where n.nspname = 'journal');
begin
    if allowed and not has_table_privilege(reader, relation, 'select') then
        execute format('grant select on %s to %I', journal.qualified_name(relation), pg_get_userbyid(reader));
    elsif not allowed and exists (select from pg_class c, aclexplode(c.relacl) a
                                   where c.oid = relation and a.grantee = reader and a.grantee <> c.relowner and a.privilege_type = 'SELECT') then
        execute format('revoke select on %s from %I', journal.qualified_name(relation), pg_get_userbyid(reader));
    end if;
end
$let_capture_read$;

comment on function journal.let_capture_read(oid, boolean) is 'Grants the journal''s owner the right to read a table whose TRUNCATE is captured, or takes it back.';
