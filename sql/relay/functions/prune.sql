-- Drops the oldest partition of messages that every destination passed long enough ago, with its seals and marks. Nothing unread
-- ever goes: a destination that stands still keeps everything, and relay.status says so.
create function relay.prune(keep interval default relay.keep()) returns text
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
as $prune$
declare
    passed constant bigint := relay.passed_seal(clock_timestamp() - keep);
    oldest record;
    through bigint;
begin
    if keep < relay.shortest_keep()
       and not pg_has_role(journal.caller(), (select n.nspowner from pg_namespace as n where n.nspname = 'relay'), 'usage') then
        raise exception using
            errcode = '42501',
            message = format('relay: delivered messages are kept for %s at the shortest', relay.shortest_keep()),
            hint = 'only the owner of the schema relay may drop younger ones';
    end if;
    begin
        lock table relay.mark in share update exclusive mode nowait;   -- one at a time; checkpoints go on
    exception when lock_not_available then
        return null;
    end;
    perform relay.forget_seals();
    select p.leaf, p.leaf::text as name, coalesce(p.from_id, 0) as from_id,
           coalesce(p.to_id, (select max(d.id) + 1 from outbox.message_default as d)) as to_id
    into oldest
    from outbox.partitions() as p
    where p.to_id <= (select i.last_value from outbox.message_id as i)
       or p.to_id is null and exists (select from outbox.message_default)
    order by p.to_id limit 1;
    if oldest.leaf is null then
        return null;
    end if;
    through := outbox.sealed_with(oldest.leaf, passed);
    if through is null or relay.is_awaited(oldest.from_id, oldest.to_id, through) then
        return null;
    end if;
    -- Positions are counted from marks, and what is dropped can no longer be counted.
    insert into relay.mark (destination, lane, seal, position)
    select l.destination, l.lane, through, relay.position_of(l.destination, l.lane, through, 9223372036854775807)
    from relay.lane as l
    on conflict do nothing;
    if not outbox.drop_leaf(oldest.leaf, through) then
        raise exception using errcode = 'lock_not_available', message = 'relay: somebody publishes just now';
    end if;
    update outbox.pruned as p
    set through_seal = greatest(p.through_seal, through), through_id = oldest.to_id - 1, pruned_at = clock_timestamp();
    return oldest.name;
exception when lock_not_available then
    return null;
end
$prune$;

comment on function relay.prune(interval) is 'Drops the oldest partition of messages that all destinations passed this long ago; the partition, or null when there is none or somebody publishes just now.';
