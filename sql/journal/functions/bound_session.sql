-- Who the transaction is bound to, told by a transaction-local setting that only bind can write. Capture and publish ask for
-- every statement: it looks nothing up that others write.
create function journal.bound_session(out session_id uuid, out step_id uuid) returns setof record
language plpgsql stable security definer rows 1
set search_path = pg_catalog, pg_temp
as $bound_session$
declare
    token constant text := current_setting('journal.binding', true);
begin
    if coalesce(token, '') = '' or split_part(token, '|', 3) is distinct from journal.binding_digest(
           split_part(token, '|', 1), split_part(token, '|', 2), pg_current_xact_id_if_assigned()) then
        return;
    end if;
    session_id := split_part(token, '|', 1)::uuid;
    step_id := nullif(split_part(token, '|', 2), '')::uuid;
    return next;
end
$bound_session$;

comment on function journal.bound_session() is 'Session and step that the transaction is bound to; no row when it is unbound.';
