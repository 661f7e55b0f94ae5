-- The ledger: one row per statement that changed a covered table. Its id is taken while the row locks are held,
-- so between transactions the order of ids is the order of changes (hence CACHE 1); within one it is not, because
-- nested triggers record the inner statement first. Rows are never updated: the xmin of a ledger row is that of the
-- rows which its statement wrote, and that is how a later, unjournaled change is noticed. No CHECK constraints: the server
-- would parse them anew for every insert, a tenth of what capturing one row costs.
create sequence journal.statement_id as bigint cache 1;

create table journal.statement (
    statement_id     bigint primary key,
    transaction_id   xid8 not null,
    cluster          bigint not null,
    rows             bigint not null,
    executed_at      timestamptz not null,
    segment_id       integer not null,
    depth            smallint not null,
    operation        "char" not null,
    db_user          text not null,
    db_role          text not null,
    application_name text not null
);

create index statement_transaction on journal.statement (transaction_id);
create index statement_deletes on journal.statement (segment_id, statement_id) where operation in ('D', 'T');

comment on table journal.statement is 'The ledger of captured statements. Private; read journal.statements.';
comment on column journal.statement.cluster is 'System identifier of the cluster: transaction ids repeat after a restore elsewhere.';
comment on column journal.statement.operation is 'I, U, D or T.';
comment on column journal.statement.depth is 'pg_trigger_depth() at capture; foreign-key actions stay at 1.';
comment on column journal.statement.db_role is 'The role set; none where it is the session user.';
