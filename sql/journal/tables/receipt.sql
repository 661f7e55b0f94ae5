-- One row per completed step, in the commit of the step. The document is all that the receipt says; it is never changed.
create table journal.receipt (
    receipt_id uuid primary key,
    step_id    uuid not null unique,
    document   jsonb not null,
    digest     text not null
);

comment on table journal.receipt is 'Receipts: what a completed step did. Private; read journal.receipts.';
comment on column journal.receipt.digest is '''sha256:'' and the hex digest of the document as Postgres prints it, in UTF-8.';
