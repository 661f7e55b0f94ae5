-- Lets a destination try parked messages again, with everything that waits behind them, in order and at new positions: as a seal of
-- their own, made under the lock of sealing, so that whatever the keys bring later comes after it. With a reason they are given up
-- instead, and only what waits behind them comes again.
create function relay.retry(
    name text, only_key text default null, only_message uuid default null, discard_reason text default null
) returns table (parked bigint, messages bigint)
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
set enable_seqscan = off
as $retry$
declare
    chosen relay.park[];
    new_seal bigint;
begin
    perform outbox.check_may_seal();
    perform outbox.lock_sealer(true);
    perform outbox.commit_durably();
    perform from relay.park as p where p.destination = name and p.until_seal is null for update;
    select array_agg(p) into chosen
    from relay.park as p
    where p.destination = name and p.until_seal is null
      and (only_key is null or p.key = only_key) and (only_message is null or p.message_id = only_message);
    parked := coalesce(cardinality(chosen), 0);
    messages := 0;
    if parked > 0 then
        new_seal := outbox.seal_nothing('retry');
        insert into relay.retried (seal, place, destination, lane, id)
        select new_seal, row_number() over (order by w.seal, w.place), name, w.lane, w.id
        from relay.set_aside_by(name, chosen, new_seal - 1) as w
        where not w.refused or discard_reason is null;
        get diagnostics messages = row_count;
        update relay.park as p
        set until_seal = new_seal, reason = discard_reason, decided_by = session_user,
            disposition = case when discard_reason is null then 'parked' else 'dead_letter' end
        from unnest(chosen) as c
        where (p.destination, p.seal, p.place) = (c.destination, c.seal, c.place);
    end if;
    return next;
end
$retry$;

comment on function relay.retry(text, text, uuid, text) is
    'Tries parked messages of a destination again (null: all keys, all messages), or gives them up for a reason: how many were parked, and how many come again.';
