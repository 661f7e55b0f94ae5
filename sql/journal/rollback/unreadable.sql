-- Why the caller may not see all of a table: no_privilege, hidden_by_rls; null where nothing is hidden.
create function journal.unreadable(relation oid) returns text
language sql stable
set search_path = pg_catalog, pg_temp
begin atomic
    select case
        when exists (select from pg_attribute a where a.attrelid = relation and a.attnum > 0 and not a.attisdropped
                        and not has_column_privilege(journal.caller(), relation, a.attnum, 'select')) then 'no_privilege'
        when exists (select from pg_class c join pg_roles r on r.rolname = journal.caller()
                      where c.oid = relation and c.relrowsecurity and not r.rolsuper and not r.rolbypassrls
                        and (c.relforcerowsecurity or not pg_has_role(r.oid, c.relowner, 'usage'))) then 'hidden_by_rls'
        end;
end;

comment on function journal.unreadable(oid) is 'Why the caller may not see all of a table; null where nothing is hidden. Private.';
