-- The next seal where nothing waits and nothing may have to wait: no session, no hold, nothing pending, so no rollback can cancel
-- any of it either. That is the everyday case, at a fraction of the general one. Null: draft_seal has to look.
create function outbox.draft_plain(last outbox.seal, snapshot pg_snapshot) returns outbox.seal
language plpgsql volatile
set search_path = pg_catalog, pg_temp
set enable_seqscan = off
set plan_cache_mode = force_generic_plan
set jit = off
as $draft_plain$
declare
    draft outbox.seal;
    plain boolean;
begin
    if last.pending <> '{}' then
        return null;
    end if;
    select count(*), coalesce(sum(v.bytes), 0), coalesce(bit_xor(outbox.hash_of(v.message_id)), 0), min(v.id),
           greatest(last.max_id, max(v.id)), coalesce(bool_and(v.session_id is null and v.hold is null), true)
    into draft.members, draft.bytes, draft.digest, draft.min_id, draft.max_id, plain
    from outbox.visible_between(last.snap, snapshot, last.from_id) as v;
    if not plain or draft.members = 0 then
        return null;
    end if;
    draft.no := last.no + 1;
    draft.snap := snapshot;
    draft.total := last.total + draft.members;
    draft.from_id := last.from_id;
    draft.pending := '{}';
    draft.released := '{}';
    draft.waits_for := '{}';
    draft.lock_missed := false;
    return draft;
end
$draft_plain$;

comment on function outbox.draft_plain(outbox.seal, pg_snapshot) is 'The next seal when no message of it can wait or be cancelled, else null.';
