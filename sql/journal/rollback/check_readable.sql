-- Images are handed only to a caller who may read the table now, and whom no row security hides a row from.
create function journal.check_readable(relation oid) returns void
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $check_readable$
#variable_conflict use_variable
declare
    hidden text;
begin
    select string_agg(quote_ident(a.attname), ', ') into hidden
      from pg_attribute a
     where a.attrelid = relation and a.attnum > 0 and not a.attisdropped
       and not has_column_privilege(journal.caller(), relation, a.attnum, 'select');
    if hidden is not null then
        raise exception using
            errcode = 'JR035', message = format('role %I may not read %s of %s', journal.caller(), hidden, relation::regclass),
            hint = 'roll back as a role that may read and write the table', detail = '{"reasons": ["no_privilege"]}';
    end if;
    if exists (select from pg_class c join pg_roles r on r.rolname = journal.caller()
                where c.oid = relation and c.relrowsecurity and not r.rolsuper and not r.rolbypassrls
                  and (c.relforcerowsecurity or not pg_has_role(r.oid, c.relowner, 'usage'))) then
        raise exception using
            errcode = 'JR035', message = format('row security may hide rows of %s from role %I', relation::regclass, journal.caller()),
            hint = 'roll back as the table''s owner or a role with BYPASSRLS', detail = '{"reasons": ["hidden_by_rls"]}';
    end if;
end
$check_readable$;

comment on function journal.check_readable(oid) is 'Raises RollbackRefused unless the caller may read the whole table. Private.';
