-- What visible_columns decides about images, for values that a record keeps elsewhere: columns by number, null for all that the
-- table has now.
create function journal.may_see(relation oid, attnums int2[], role_name name) returns boolean
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $may_see$
#variable_conflict use_variable
begin
    return journal.is_auditor(role_name)
        or exists (select from pg_class c where c.oid = relation and not c.relrowsecurity)
           and (select bool_and(coalesce(has_column_privilege(role_name, relation, a.attnum, 'select'), false))
                  from unnest(coalesce(attnums, array(select p.attnum from pg_attribute p where p.attrelid = relation and p.attnum > 0 and not p.attisdropped))) as a (attnum)) is true;
end
$may_see$;

comment on function journal.may_see(oid, int2[], name) is 'Whether a role may see values of the given columns (null: of all) of a table now. Private.';
