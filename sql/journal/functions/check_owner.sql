-- The definer functions of cover and uncover do what only the table's owner may ask for. A table that is gone has none.
create function journal.check_owner(relation regclass) returns void
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $check_owner$
begin
    if not pg_has_role(journal.caller(), (select c.relowner from pg_class c where c.oid = check_owner.relation), 'usage') then
        raise exception using errcode = '42501', message = format('must be owner of table %s to cover it, or to stop that', check_owner.relation);
    end if;
end
$check_owner$;

comment on function journal.check_owner(regclass) is 'Raises unless the caller owns the table. Private.';
