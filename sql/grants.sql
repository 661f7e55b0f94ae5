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
            'grant execute on function journal.operation_name("char"), journal.images(text, bigint), journal.row_images(regclass, jsonb),
             journal.session_changes(uuid), journal.row_history(regclass, jsonb), journal.qualified_name(oid), journal.coverage_state(regclass),
             journal.attribute_names(oid, int2[]), journal.is_droppable(journal.segment) to %I', role_name);
    end loop;
    for role_name in select r.rolname from pg_catalog.pg_roles as r where r.rolname = 'journal_operator' loop
        execute format(
            'grant execute on function journal.cover(regclass, text, boolean, text[], text[], text[], text, boolean), journal.uncover(regclass),
             journal.why_not_coverable(regclass), journal.why_too_wide(regclass), journal.column_numbers(regclass, text[], text),
             journal.make_segment(regclass, journal.covered_table), journal.set_triggers(regclass, text), journal.trigger_marks(oid),
             journal.seal_coverage(regclass), journal.forget_coverage(regclass) to %I', role_name);
    end loop;
end
$grants_capture$;
