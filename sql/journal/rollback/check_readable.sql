-- Images are handed only to a caller who may read the table now, and whom no row security hides a row from.
create function journal.check_readable(relation oid) returns void
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $check_readable$
#variable_conflict use_variable
declare
    reason constant text := journal.unreadable(relation);
begin
    if reason = 'no_privilege' then
        raise exception using
            errcode = 'JR035', message = format('role %I may not read %s of %s', journal.caller(), (
                select string_agg(quote_ident(a.attname), ', ') from pg_attribute a
                 where a.attrelid = relation and a.attnum > 0 and not a.attisdropped
                   and not has_column_privilege(journal.caller(), relation, a.attnum, 'select')), relation::regclass),
            hint = 'roll back as a role that may read and write the table', detail = '{"reasons": ["no_privilege"]}';
    elsif reason = 'hidden_by_rls' then
        raise exception using
            errcode = 'JR035', message = format('row security may hide rows of %s from role %I', relation::regclass, journal.caller()),
            hint = 'roll back as the table''s owner or a role with BYPASSRLS', detail = '{"reasons": ["hidden_by_rls"]}';
    end if;
end
$check_readable$;

comment on function journal.check_readable(oid) is 'Raises RollbackRefused unless the caller may read the whole table. Private.';
