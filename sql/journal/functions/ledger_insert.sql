-- The ledger row of a captured statement, as SQL text: the one home of its columns.
create function journal.ledger_insert(segment_id integer) returns text
language sql immutable
begin atomic
    select pg_catalog.format($ledger$get diagnostics images = row_count;
        insert into journal.statement (statement_id, transaction_id, cluster, segment_id, rows, executed_at, depth, operation, db_user, db_role, application_name)
        values (this_statement, pg_current_xact_id(), journal.cluster_id(), %s, images, statement_timestamp(), pg_trigger_depth(), left(tg_op, 1)::"char",
                session_user, nullif(current_setting('role'), 'none'), nullif(current_setting('application_name'), ''));$ledger$, segment_id);
end;

comment on function journal.ledger_insert(integer) is 'SQL text that writes the ledger row of a captured statement.';
