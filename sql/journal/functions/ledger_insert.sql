-- The ledger row of a captured statement, as SQL text: the one home of its columns. `operation` and `rows` are expressions.
create function journal.ledger_insert(segment journal.segment, segment_id integer, operation text, rows text default 'images') returns text
language sql immutable
begin atomic
    select pg_catalog.format($ledger$insert into journal.statement%3$s (statement_id, transaction_id, cluster, segment_id, rows, executed_at, depth, operation, db_user, db_role, application_name)
        values (this_statement, pg_current_xact_id(), journal.cluster_id(), %1$s, %2$s, statement_timestamp(), pg_trigger_depth(), %4$s,
                session_user, current_setting('role'), current_setting('application_name'));
        if serializable then
            perform journal.note(%1$s, %4$s, %2$s);
        end if;$ledger$, segment_id, rows, journal.capture_comment(segment), operation);
end;

comment on function journal.ledger_insert(journal.segment, integer, text, text) is 'SQL text that writes the ledger row of a captured statement.';
