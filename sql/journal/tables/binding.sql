-- Who a transaction's changes belong to: a change belongs to the last binding before it in its transaction. The
-- binding takes its place among the statements by an id from their sequence. Insert only.
create table journal.binding (
    statement_id   bigint primary key,
    binding_id     bigint not null default nextval('journal.binding_id'),
    transaction_id xid8 not null,
    cluster        bigint not null,
    session_id     uuid,
    step_id        uuid,
    bound_at       timestamptz not null
);

create index binding_transaction on journal.binding (transaction_id);
create index binding_session on journal.binding (session_id, statement_id);

comment on table journal.binding is 'Which session and step a range of statements of a transaction belongs to. Private.';
comment on column journal.binding.binding_id is 'The last one that a connection was given is that of its latest binding, unless that was rolled back.';
comment on column journal.binding.session_id is 'Null: from here on the transaction is unbound again.';
