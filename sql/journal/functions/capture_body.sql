-- Writes the body of a capture function. Transition tables are read through positional aliases, so renames and odd names are
-- harmless. The shape check is folded into the plan of the first query (shape_is), which depends on the table and is made
-- anew after every change of it; padding keeps that query valid when columns are gone.
-- Only a FULL JOIN may join transition tables: plans are cached at the first row count, and a nested loop planned for one
-- row is quadratic for a bulk statement. One row has a statement of its own, because pairing costs more than storing it.
create function journal.capture_body(capture journal.capture, segment journal.segment, options journal.covered_table) returns text
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $capture_body$
declare
    pieces jsonb := journal.capture_pieces(capture, segment)
                    || journal.elision_pieces(capture, segment, (select c.relkind <> 'p' from pg_class c where c.oid = capture.relation));
begin
    pieces := pieces || jsonb_build_object(
        'preamble', journal.capture_preamble(options),
        'agent', $agent$exists (select from journal.agent_role r where r.role_name in (session_user, current_setting('role')))$agent$,
        'shape', journal.fill('journal.shape_is({capture}, {types}, array[{present_types}])', pieces),
        'ledger', journal.ledger_insert(segment.segment_id),
        'ledger_of_records', journal.ledger_insert(capture.record_id));
    pieces := pieces || jsonb_build_object('checks', journal.fill(journal.capture_checks(options), pieces));
    pieces := pieces || jsonb_build_object('truncate', journal.fill(journal.capture_truncate(options), pieces));
    return journal.fill($body$
declare
    this_statement bigint;
    images bigint;
    olds bigint;
    news bigint;
    intact boolean;
    agent boolean;
    several boolean;
    settings jsonb;
begin{preamble}
    if tg_op = 'UPDATE' then
        select {shape}, {agent}, exists (select from old_rows offset 1) or exists (select from new_rows offset 1)
          into intact, agent, several from (select *, {padding} from new_rows) as x ({x}) limit 1;
        if not found then
            select {shape}, {agent}, true into intact, agent, several from (select *, {padding} from old_rows) as x ({x}) limit 1;
            if not found then
                return null;
            end if;
        end if;{checks}
        this_statement := nextval('journal.statement_id');
        if several then
            select (select count(*) from old_rows), count(*) into olds, news from new_rows;
        end if;
        if not several then
            insert into journal.segment_{segment} (statement_id, {old_names}, {new_names}, elided)
            select this_statement, {kept_old_values}{had}, {kept_new_values}{has}, {elided}
              from (select 1, * from old_rows) as o (place, {o}) full join (select 1, * from new_rows) as n (place, {n}) on true;
        elsif olds = news then
            insert into journal.segment_{segment} (statement_id, {old_names}, {new_names}, elided)
            select this_statement, {kept_old_values}{had}, {kept_new_values}{has}, {elided}
              from (select row_number() over (), * from old_rows) as o (place, {o})
              full join (select row_number() over (), * from new_rows) as n (place, {n}) on o.place = n.place;
        else
            insert into journal.segment_{segment} (statement_id, {old_names}, {new_names})
            select this_statement, {old_values}, {new_values}
              from (select row_number() over (), * from old_rows) as o (place, {o})
              full join (select row_number() over (), * from new_rows) as n (place, {n}) on {same_key};
        end if;
        {ledger}
    elsif tg_op = 'INSERT' then
        select {shape}, {agent} into intact, agent from (select *, {padding} from new_rows) as x ({x}) limit 1;
        if not found then
            return null;
        end if;{checks}
        this_statement := nextval('journal.statement_id');
        insert into journal.segment_{segment} (statement_id, {new_names})
        select this_statement, {new_values} from (select 1, * from new_rows) as n (place, {n});
        {ledger}
    elsif tg_op = 'DELETE' then
        select {shape}, {agent} into intact, agent from (select *, {padding} from old_rows) as x ({x}) limit 1;
        if not found then
            return null;
        end if;{checks}
        this_statement := nextval('journal.statement_id');
        insert into journal.segment_{segment} (statement_id, {old_names})
        select this_statement, {old_values} from (select 1, * from old_rows) as o (place, {o});
        {ledger}
    else{truncate}
    end if;
    return null;
end
$body$, pieces);
end
$capture_body$;

comment on function journal.capture_body(journal.capture, journal.segment, journal.covered_table) is 'Source of a capture function.';
