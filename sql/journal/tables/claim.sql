-- What agents say they did, and what they point to: a receipt, or a step of which they have none. Insert only.
create table journal.claim (
    claim_id   uuid primary key,
    session_id uuid not null references journal.session,
    receipt_id uuid,
    step_id    uuid,
    claim      text not null,
    claimed_at timestamptz not null default clock_timestamp()
);

create index claim_session on journal.claim (session_id);

comment on table journal.claim is 'What agents assert. Private; read journal.claims.';
