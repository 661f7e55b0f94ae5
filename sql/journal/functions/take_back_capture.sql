-- Takes back what lend_capture gave.
create function journal.take_back_capture(capture text) returns void
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $take_back_capture$
declare
    holder regrole;
begin
    for holder in
        select a.grantee from pg_proc p, aclexplode(p.proacl) a
         where p.oid = to_regprocedure(capture || '()') and a.grantee <> p.proowner
    loop
        execute format('revoke all on function %s() from %s', capture, holder);
    end loop;
end
$take_back_capture$;

comment on function journal.take_back_capture(text) is 'Lets nobody but the owner execute a capture function. Private.';
