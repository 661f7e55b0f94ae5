-- Writes where a binding begins among the statements of its transaction, and notes where that row lies. A null session unbinds.
create function journal.set_binding(session_id uuid, step_id uuid) returns boolean
language plpgsql volatile
as $set_binding$
declare
    bound   constant text := nullif(current_setting('journal.session', true), '');
    place   tid;
    present text;
begin
    if bound is not null and bound <> set_binding.session_id::text and not journal.is_related(bound::uuid, set_binding.session_id) then
        raise exception using
            errcode = 'JR006', message = format('the transaction belongs to session %s already', bound),
            hint = 'one transaction belongs to one session and its child sessions; commit before another session works';
    end if;
    insert into journal.binding (statement_id, transaction_id, cluster, session_id, step_id, bound_at)
    values (nextval('journal.statement_id'), pg_current_xact_id(), journal.cluster_id(), set_binding.session_id, set_binding.step_id,
            clock_timestamp())
    returning ctid into place;
    if set_binding.session_id is null then
        present := set_config('journal.binding', '', true);
    else
        present := set_config('journal.session', set_binding.session_id::text, true);
        present := set_config('journal.binding', place::text, true);
    end if;
    return true;
end
$set_binding$;

comment on function journal.set_binding(uuid, uuid) is 'Binds the transaction without asking whether the session may work. True. Raises AlreadyBound. Private: call journal.bind.';
