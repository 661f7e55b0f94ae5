-- What the next seal will hold. A message waits when it is held, when a rollback has locked its session (a session without a row
-- was pruned, and is free), or when an earlier message of its key waits. Runs after the sessions are locked, in a new snapshot.
create function outbox.draft_seal(last outbox.seal, snapshot pg_snapshot, locked uuid[]) returns outbox.seal
language plpgsql volatile
set search_path = pg_catalog, pg_temp
set enable_seqscan = off
set plan_cache_mode = force_generic_plan
set jit = off
as $draft_seal$
declare
    draft outbox.seal;
begin
    with candidate as materialized (
        select v.id, v.message_id, v.session_id, v.key, v.hold, v.release_at, v.bytes, false as waited
        from outbox.visible_between(last.snap, snapshot, last.from_id) as v
        union all
        select m.id, m.message_id, m.session_id, m.key, m.hold, m.release_at, m.bytes, true
        from outbox.message as m where m.id = any (last.pending)
    ), judged as materialized (
        select c.*,
               coalesce(c.release_at > clock_timestamp() and not (c.hold = 'close' and s.status = 'closed'), false) as held,
               s.session_id is not null and l.session_id is null as missed
        from candidate as c
        left join journal.session as s on s.session_id = c.session_id
        left join unnest(locked) as l(session_id) on l.session_id = c.session_id
        where not exists (select from outbox.cancellation as x where x.id = c.id)
    ), first_waiting as (
        select j.key, min(j.id) as id from judged as j where (j.held or j.missed) and j.key is not null group by j.key
    ), placed as (
        select j.*, j.held or j.missed or coalesce(j.id > f.id, false) as waits
        from judged as j left join first_waiting as f on f.key = j.key
    )
    select coalesce(array_agg(p.id order by p.id) filter (where p.waits), '{}'),
           coalesce(array_agg(p.id order by p.id) filter (where p.waited and not p.waits), '{}'),
           count(*) filter (where not p.waits),
           coalesce(sum(p.bytes) filter (where not p.waits), 0),
           coalesce(bit_xor(outbox.hash_of(p.message_id)) filter (where not p.waits), 0),
           min(p.id) filter (where not p.waits),
           greatest(last.max_id, max(p.id)),
           min(p.release_at) filter (where p.held),
           coalesce(array_agg(distinct p.session_id) filter (where p.held and p.hold = 'close'), '{}'),
           coalesce(bool_or(p.missed and not p.held), false)
    into draft.pending, draft.released, draft.members, draft.bytes, draft.digest, draft.min_id, draft.max_id,
         draft.due_at, draft.waits_for, draft.lock_missed
    from placed as p;
    draft.no := last.no + 1;
    draft.snap := snapshot;
    draft.from_id := last.from_id;
    draft.total := last.total + draft.members;
    return draft;
end
$draft_seal$;

comment on function outbox.draft_seal(outbox.seal, pg_snapshot, uuid[]) is 'The next seal, not yet stored; without lineage, kind, sealer and time.';
