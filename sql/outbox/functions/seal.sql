-- Fixes the order of what has been committed since the last seal. Predecessor and snapshot come from one statement, and the number
-- is the predecessor's plus one under a primary key: a stale sealer collides instead of repeating a batch.
create function outbox.seal(wait boolean default false) returns bigint
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
as $seal$
declare
    present record;
    last outbox.seal;
    draft outbox.seal;
begin
    perform outbox.check_may_seal();
    if not outbox.anything_to_seal() or not outbox.lock_sealer(wait) then
        return null;
    end if;
    perform outbox.commit_durably();   -- a seal that is lost after delivery would repeat it
    perform outbox.first_seal();
    select s as last, pg_current_snapshot() as snapshot into present from outbox.seal as s order by s.no desc limit 1;
    last := present.last;
    draft := outbox.draft_plain(last, present.snapshot);
    if draft.no is null then
        draft := outbox.draft_seal(last, present.snapshot, outbox.lock_free_sessions(last, present.snapshot));
        if not outbox.worth_storing(draft, last) then
            return null;
        end if;
    end if;
    draft.kind := 'snapshot';
    draft.lineage := outbox.lineage_in_force(draft.no);
    return outbox.store_seal(draft);
end
$seal$;

comment on function outbox.seal(boolean) is
    'Seals what is committed and not held, and returns the number of the new seal; null when there was nothing to seal, or another sealer is at it and wait is false. Call it by itself, with autocommit on.';
