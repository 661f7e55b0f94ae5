-- Who the transaction is bound to: its last binding. A transaction-local setting says where that row lies, and is believed only if a
-- binding of this transaction is there, which a savepoint has not taken back, and none came after it. So it can be neither forged
-- nor put back later. Capture and publish ask for every statement: a row of one's own that is found by its place is no row that
-- a SERIALIZABLE transaction locks against others. Only after a later binding was rolled back the index has to tell. Nothing here has a
-- backslash: what that means is a setting of the caller's.
create function journal.bound_session(out session_id uuid, out step_id uuid) returns setof record
language plpgsql stable security definer rows 1
set search_path = pg_catalog, pg_temp
as $bound_session$
#variable_conflict use_column
declare
    place   constant text := current_setting('journal.binding', true);
    binding journal.binding;
begin
    if place is null or place !~ '^[(][0-9]{1,9},[0-9]{1,4}[)]$' then
        return;
    end if;
    select b.* into binding from journal.binding b
     where b.ctid = place::tid and b.transaction_id = pg_current_xact_id_if_assigned() and b.cluster = journal.cluster_id();
    if binding.session_id is null then
        return;
    elsif binding.binding_id <> currval('journal.binding_id') and exists (
              select from journal.binding l
               where l.transaction_id = binding.transaction_id and l.cluster = binding.cluster and l.statement_id > binding.statement_id) then
        return;
    end if;
    bound_session.session_id := binding.session_id;
    bound_session.step_id := binding.step_id;
    return next;
end
$bound_session$;

comment on function journal.bound_session() is 'Session and step that the transaction is bound to; no row when it is unbound.';
