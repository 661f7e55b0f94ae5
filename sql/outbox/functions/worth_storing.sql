-- A seal without members is stored only when it takes something in or changes what is pending: polls must not grow the table.
create function outbox.worth_storing(draft outbox.seal, last outbox.seal) returns boolean
language sql volatile
set search_path = pg_catalog, pg_temp
set enable_seqscan = off
as $worth_storing$
    select draft.members > 0
        or (draft.pending, draft.waits_for, draft.lock_missed) <> (last.pending, last.waits_for, last.lock_missed)
        or draft.due_at is distinct from last.due_at
        or exists (select from outbox.visible_between(last.snap, draft.snap, last.from_id))
$worth_storing$;

comment on function outbox.worth_storing(outbox.seal, outbox.seal) is 'Whether a drafted seal says anything that its predecessor does not.';
