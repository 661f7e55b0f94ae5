-- Writes the body of a capture function. Transition tables are read through positional aliases, so renames and odd names are
-- harmless. The shape check is folded into the plan of the first query (shape_is), which depends on the table and is made
-- anew after every change of it; padding keeps that query valid when columns are gone. What is asked for each statement is asked in
-- one query, and only what needs no table in an IF: those two are cheap, every other query costs as much as storing half a row.
create function journal.capture_body(capture journal.capture, segment journal.segment, options journal.covered_table) returns text
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $capture_body$
declare
    partitioned constant boolean := (select c.relkind = 'p' from pg_class c where c.oid = capture.relation);
    pieces jsonb := journal.capture_pieces(capture, segment) || journal.elision_pieces(capture, segment, not partitioned);
begin
    pieces := pieces || jsonb_build_object(
        'shape', journal.fill('journal.shape_is({capture}, {types}, array[{present_types}])', pieces),
        'intact', journal.fill('journal.shape_is({capture}, {types}, array[{present_types}]) and tg_relid = journal.captured_relation({capture})', pieces),
        'serializable', $serializable$current_setting('transaction_isolation') = 'serializable'$serializable$,
        'refuse_agents', $refuse$
        if journal.has_agents() then
            if exists (select from journal.agent_role r where r.role_name in (session_user, current_setting('role'))) then
                perform journal.admit(tg_relid);
            end if;
        end if;$refuse$,
        'ledger_of_insert', journal.ledger_insert(segment, segment.segment_id, '''I'''),
        'ledger_of_update', journal.ledger_insert(segment, segment.segment_id, '''U'''),
        'ledger_of_one_update', journal.ledger_insert(segment, segment.segment_id, '''U''', '1'),
        'ledger_of_delete', journal.ledger_insert(segment, segment.segment_id, '''D'''),
        'ledger_of_truncate', journal.ledger_insert(segment, segment.segment_id, '''T'''),
        'ledger_of_records', journal.ledger_insert(segment, capture.record_id, 'left(tg_op, 1)::"char"'));
    pieces := pieces || jsonb_build_object('preamble', journal.fill(journal.capture_preamble(options), pieces),
                                           'checks', journal.fill(journal.capture_checks(options), pieces));
    pieces := pieces || jsonb_build_object('update', journal.fill(journal.capture_update(partitioned), pieces),
                                           'truncate', journal.fill(journal.capture_truncate(options), pieces));
    return journal.fill($body$
declare
    this_statement bigint;
    images bigint;
    intact boolean;
    serializable boolean;
    several boolean;
    large boolean;
    unbound boolean;
    settings jsonb;
    memory text;
    borrowed text;
begin{preamble}
    if tg_op = 'UPDATE' then{update}
    elsif tg_op = 'INSERT' then
        select {intact}, {serializable} into intact, serializable from (select *, {padding} from new_rows) as x ({x}) limit 1;
        if not found then
            return null;
        end if;{checks}
        this_statement := nextval('journal.statement_id');
        insert into journal.{segment} (statement_id, {new_names})
        select this_statement, {new_values} from (select 1, * from new_rows) as n (place, {n});
        get diagnostics images = row_count;
        {ledger_of_insert}
    elsif tg_op = 'DELETE' then
        select {intact}, {serializable} into intact, serializable from (select *, {padding} from old_rows) as x ({x}) limit 1;
        if not found then
            return null;
        end if;{checks}
        this_statement := nextval('journal.statement_id');
        insert into journal.{segment} (statement_id, {old_names})
        select this_statement, {old_values} from (select 1, * from old_rows) as o (place, {o});
        get diagnostics images = row_count;
        {ledger_of_delete}
    else{truncate}
    end if;
    return null;
end
$body$, pieces);
end
$capture_body$;

comment on function journal.capture_body(journal.capture, journal.segment, journal.covered_table) is 'Source of a capture function.';
