-- The one place that writes a drafted seal.
create function outbox.store_seal(draft outbox.seal) returns bigint
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $store_seal$
begin
    insert into outbox.seal
        (no, lineage, kind, snap, pending, released, members, bytes, digest, total, min_id, max_id, from_id, due_at, waits_for, lock_missed)
    values
        (draft.no, draft.lineage, draft.kind, draft.snap, draft.pending, draft.released, draft.members, draft.bytes, draft.digest,
         draft.total, draft.min_id, draft.max_id, draft.from_id, draft.due_at, draft.waits_for, draft.lock_missed);
    return draft.no;
end
$store_seal$;

comment on function outbox.store_seal(outbox.seal) is 'Stores a drafted seal and returns its number.';
