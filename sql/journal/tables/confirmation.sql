-- Consumers that say they did what a step asked of them. Insert only.
create table journal.confirmation (
    receipt_id   uuid not null references journal.receipt,
    consumer     text not null check (consumer <> ''),
    confirmed_at timestamptz not null default clock_timestamp(),
    db_user      text not null default session_user,
    primary key (receipt_id, consumer)
);

comment on table journal.confirmation is 'Which consumers confirmed which receipts. Private; read journal.receipts.';
