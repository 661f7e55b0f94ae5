-- A TRUNCATE shows its rows to no trigger: capture reads them from the table, so the journal's owner needs the right to.
-- Runs as the table's owner, who may be unable to let it into the schema: then TRUNCATE is refused. It is refused too where a column is excluded,
-- for which the right is not given. The right to enter the schema is not taken back: other tables may need it.
create function journal.let_capture_read(relation oid, allowed boolean) returns void
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $let_capture_read$
declare
    reader constant oid := (select n.nspowner from pg_namespace n where n.nspname = 'journal');
    home   constant oid := (select c.relnamespace from pg_class c where c.oid = relation);
begin
    if allowed and not has_schema_privilege(reader, home, 'usage') and has_schema_privilege(home, 'usage with grant option') then
        execute format('grant usage on schema %s to %I', home::regnamespace, pg_get_userbyid(reader));
    end if;
    if allowed and not has_table_privilege(reader, relation, 'select') then
        execute format('grant select on %s to %I', journal.qualified_name(relation), pg_get_userbyid(reader));
    elsif not allowed and exists (select from pg_class c, aclexplode(c.relacl) a
                                   where c.oid = relation and a.grantee = reader and a.grantee <> c.relowner and a.privilege_type = 'SELECT') then
        execute format('revoke select on %s from %I', journal.qualified_name(relation), pg_get_userbyid(reader));
    end if;
end
$let_capture_read$;

comment on function journal.let_capture_read(oid, boolean) is 'Grants the journal''s owner the right to read a table whose TRUNCATE is captured, and to enter its schema where the caller may, or takes the first back.';
