-- What rollbacks could not undo, one row each, to be ticked off.
create table journal.residue_item (
    residue_id       uuid primary key,
    rollback_id      uuid not null references journal.rollback,
    session_id       uuid,
    kind             text not null check (kind in ('row', 'message', 'sequence', 'large_object', 'materialized_view', 'external')),
    relation         regclass,
    table_name       text,
    key              jsonb,
    key_attnums      int2[],
    column_name      text,
    attnum           int2,
    reason           text not null,
    base             jsonb,
    ours             jsonb,
    theirs           jsonb,
    their_session_id uuid,
    their_user       name,
    their_at         timestamptz,
    message_id       uuid,
    destination      text,
    resolved_at      timestamptz,
    resolved_by      name,
    note             text
);

create index residue_item_rollback on journal.residue_item (rollback_id);

comment on table journal.residue_item is 'What rollbacks left. Private; read journal.residue.';
