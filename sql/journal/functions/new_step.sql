-- A try of a step that begins now, not written yet.
create function journal.new_step(
    home journal.session, tool text, key text, arguments jsonb, attempt integer, details jsonb, kind text, store_arguments boolean
) returns journal.step
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $new_step$
declare
    try journal.step;
begin
    try.step_id := outbox.uuid7();
    try.session_id := home.session_id;
    try.tool := new_step.tool;
    try.kind := new_step.kind;
    try.tenant := home.tenant;
    try.key := new_step.key;
    try.attempt := new_step.attempt;
    try.status := 'begun';
    try.holds_key := new_step.key is not null;
    if new_step.store_arguments then
        try.arguments := new_step.arguments;
    else
        try.arguments_digest := journal.arguments_digest(new_step.arguments);
    end if;
    try.details := new_step.details;
    try.transaction_id := pg_current_xact_id();
    try.cluster := journal.cluster_id();
    try.started_at := clock_timestamp();
    if try.holds_key then
        try.key_expires_at := try.started_at + journal.key_retention();
    end if;
    select b.session_id, b.step_id into try.outer_session_id, try.outer_step_id from journal.bound_session() b;
    try.db_user := session_user;
    try.db_role := home.db_role;
    return try;
end
$new_step$;

comment on function journal.new_step(journal.session, text, text, jsonb, integer, jsonb, text, boolean) is 'A try of a step that begins now. Private.';
