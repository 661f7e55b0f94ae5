-- Who may do what. Loaded last: nobody may do anything until it is granted here. Group roles that the cluster does not have
-- (migrate --no-roles) are passed over.
do $grants$
declare
    everyone constant text[] := array['journal_agent', 'journal_operator', 'journal_reader', 'journal_auditor'];
    schema_name text;
    role_name text;
begin
    foreach schema_name in array array['journal', 'outbox', 'relay'] loop
        execute format('revoke all on all functions in schema %I from public', schema_name);
        execute format('revoke all on all tables in schema %I from public', schema_name);
    end loop;
    for role_name in select r.rolname from pg_catalog.pg_roles as r where r.rolname = any (everyone) loop
        execute format('grant usage on schema journal, outbox, relay to %I', role_name);
    end loop;
end
$grants$;

-- coverage and capture: whoever reads sees the images of the columns that it may select; whoever covers must own the table
do $grants_capture$
declare
    role_name text;
begin
    for role_name in
        select r.rolname from pg_catalog.pg_roles as r where r.rolname in ('journal_operator', 'journal_reader', 'journal_auditor')
    loop
        execute format('grant select on journal.statements, journal.changes, journal.coverage, journal.segments to %I', role_name);
        execute format(
            'grant execute on function journal.operation_name("char"), journal.images(text, bigint[]), journal.row_images(regclass, jsonb),
             journal.session_changes(uuid), journal.row_history(regclass, jsonb), journal.qualified_name(oid), journal.coverage_state(regclass),
             journal.attribute_names(oid, int2[]), journal.is_droppable(journal.segment, interval) to %I', role_name);
    end loop;
    for role_name in select r.rolname from pg_catalog.pg_roles as r where r.rolname = 'journal_operator' loop
        execute format(
            'grant execute on function journal.cover(regclass, text, boolean, text[], text[], text[], text, boolean), journal.uncover(regclass),
             journal.why_not_coverable(regclass, boolean), journal.why_too_wide(regclass), journal.refuse_uncoverable(regclass, text), journal.let_capture_read(oid, boolean), journal.cover_again(regclass), journal.cover_options(regclass), journal.prune(interval, interval),
             journal.why_not_excludable(regclass, int2[]), journal.present_shape(regclass, int2[]), journal.image_type(oid), journal.base_type(oid), journal.relations_of(oid), journal.column_numbers(regclass, text[], text),
             journal.make_segment(regclass, journal.covered_table), journal.set_triggers(regclass, "char", text), journal.set_merge_trigger(regclass, "char", text), journal.keep_row(), journal.trigger_marks(oid), journal.is_capture(oid), journal.note_gap(regclass),
             journal.seal_coverage(regclass), journal.forget_coverage(regclass) to %I', role_name);
    end loop;
end
$grants_capture$;

-- sessions, steps and receipts: agents work, operators stop, readers look
do $grants_steps$
declare
    role_name text;
begin
    for role_name in select r.rolname from pg_catalog.pg_roles as r where r.rolname = 'journal_agent' loop
        execute format(
            'grant execute on function journal.open_session(text, text, uuid, jsonb, text, text, text, text),
             journal.resume_session(uuid), journal.close_session(uuid, text, text), journal.bind(uuid, uuid), journal.bound_session(),
             journal.begin_step(uuid, text, text, jsonb, integer, interval, jsonb, text, boolean), journal.complete_step(uuid, jsonb),
             journal.end_step(uuid, jsonb, boolean), journal.receipt_json(uuid),
             journal.enter_step(uuid, text, text, jsonb, integer, interval, jsonb, text, boolean, boolean),
             journal.intend_step(uuid, text, text, uuid, jsonb, integer, interval, jsonb, text, boolean),
             journal.take_external(uuid, uuid, interval), journal.end_external(uuid, jsonb), journal.settle_external(uuid, text, jsonb, jsonb),
             journal.claim(uuid, text, uuid), journal.check_claims(uuid, uuid[]),
             journal.fail_step(uuid, uuid, text, text, jsonb, integer, jsonb, jsonb, boolean, timestamptz, jsonb, text, boolean) to %I', role_name);
    end loop;
    for role_name in select r.rolname from pg_catalog.pg_roles as r where r.rolname = 'journal_operator' loop
        execute format(
            'grant execute on function journal.stop_session(uuid, text), journal.stop_agent(text, text), journal.resume_agent(text),
             journal.resolve_external(uuid, text, text), journal.confirm(uuid, text) to %I',
            role_name);
    end loop;
    for role_name in
        select r.rolname from pg_catalog.pg_roles as r where r.rolname in ('journal_operator', 'journal_reader', 'journal_auditor')
    loop
        execute format('grant select on journal.sessions, journal.steps, journal.receipts, journal.externals, journal.claims to %I', role_name);
        execute format(
            'grant execute on function journal.abandoned_after(), journal.retention(), journal.session_reversed(uuid),
             journal.effective_rollback(uuid, uuid), journal.receipt_json(uuid), journal.delivered_at(jsonb),
             journal.claim_verdict(uuid, uuid, uuid) to %I', role_name);
    end loop;
end
$grants_steps$;

-- rollback: operators plan and carry out with their own rights on the tables, and read the record; readers read it
do $grants_rollback$
declare
    role_name text;
    function_signature text;
begin
    for role_name in select r.rolname from pg_catalog.pg_roles as r where r.rolname = 'journal_operator' loop
        for function_signature in
            select p.oid::pg_catalog.regprocedure::text from pg_catalog.pg_proc p
             where p.pronamespace = 'journal'::pg_catalog.regnamespace
               and (p.proname like 'undo\_%' or p.proname in ('rollback', 'rollback_sessions', 'rollback_report', 'plan_rollback', 'resolve_residue',
                    'check_readable', 'unreadable', 'key_text', 'live_key', 'differs', 'unique_columns', 'unique_expressions', 'operator_name', 'utc', 'qualified_name', 'image_of', 'caller', 'image_type', 'base_type', 'whole_xid', 'steps_in_effect'))
        loop
            execute format('grant execute on function %s to %I', function_signature, role_name);
        end loop;
    end loop;
    for role_name in
        select r.rolname from pg_catalog.pg_roles as r where r.rolname in ('journal_operator', 'journal_reader', 'journal_auditor')
    loop
        execute format('grant select on journal.rollbacks, journal.residue to %I', role_name);
        execute format('grant execute on function journal.caller(), journal.is_auditor(name), journal.may_see(oid, int2[], name), journal.without_values(jsonb) to %I', role_name);
    end loop;
end
$grants_rollback$;

-- messages and relays: agents publish, operators run relays, readers look. Nobody may call outbox.take_back but the journal.
do $grants_relay$
declare
    role_name text;
begin
    for role_name in select r.rolname from pg_catalog.pg_roles as r where r.rolname in ('journal_agent', 'journal_operator') loop
        execute format('grant execute on function outbox.publish(text, text, jsonb, jsonb, text, text, jsonb), outbox.take(text, text) to %I', role_name);
    end loop;
    for role_name in select r.rolname from pg_catalog.pg_roles as r where r.rolname = 'journal_operator' loop
        execute format(
            'grant execute on function outbox.seal(boolean), relay.next_messages(text, integer[], bigint, bigint, bigint, bigint, boolean), relay.last_seal(), relay.confirm(),
             relay.read_part(text, integer[], bigint, bigint, integer, bigint, boolean),
             relay.origin(), relay.knows_lineage(uuid), relay.lanes_of(text), relay.is_fresh(text), relay.is_paused(text),
             relay.check_registered(text, text[], integer, text), relay.register(text, text, text, bigint, text[], integer, text, text),
             relay.lane_state(text, integer), relay.take_lane(text, integer, uuid, text, interval),
             relay.checkpoint(text, integer, bigint, interval, bigint, bigint, bigint, bigint, bigint, bigint, uuid, text, boolean),
             relay.leave_lane(text, integer, bigint), relay.try_alone(text, integer, bigint, uuid, integer), relay.report_error(text, text, boolean), relay.report_recovery(text),
             relay.left_over(text), relay.pause(text), relay.resume(text),
             relay.set_aside(text, integer, bigint, bigint, bigint, uuid, text), relay.note_arrival(text, bigint, bigint, uuid),
             relay.retry(text, text, uuid, text), outbox.rebase(), relay.needs_rebase(),
             relay.move_lane(text, integer, bigint, bigint, bigint, bigint, bigint, bigint, uuid, text), relay.nearest_mark(text, integer, bigint),
             relay.last_seal_of(uuid), relay.is_open_lineage(uuid), relay.url_of(text), relay.last_seal_at(timestamptz),
             relay.finish(text, bigint), outbox.rotate(bigint), relay.prune(interval), relay.keep(), outbox.partition_size() to %I', role_name);
    end loop;
    for role_name in
        select r.rolname from pg_catalog.pg_roles as r where r.rolname in ('journal_operator', 'journal_reader', 'journal_auditor')
    loop
        execute format(
            'grant select on outbox.messages, outbox.backlog, relay.destinations, relay.lag, relay.parked, relay.deliveries to %I', role_name);
        execute format(
            'grant execute on function outbox.seal_of(bigint, xid8), outbox.unsealed(),
             relay.lane_backlog(text, integer), relay.position_of(text, integer, bigint, bigint),
             relay.parked_of(text), relay.is_aside(text, bigint, bigint, bigint, text) to %I', role_name);
    end loop;
end
$grants_relay$;
