-- Checkpoint and renewal of the lease in one write, only for the holder of this epoch and only from the position it knows: no row
-- means that the lane is lost and everything planned for it must be dropped.
create function relay.checkpoint(
    name text, lane integer, epoch bigint, lease interval, position_before bigint,
    seal bigint, "position" bigint, passed bigint, last_seal bigint, last_id bigint, message_id uuid, token text, in_doubt boolean
) returns table (paused boolean)
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
as $checkpoint$
declare
    seal_before bigint;
begin
    perform set_config('synchronous_commit', 'off', true);   -- a checkpoint that is lost costs work, not messages
    seal_before := (select l.seal from relay.lane as l where l.destination = name and l.lane = checkpoint.lane);
    update relay.lane as l
    set lease_until = clock_timestamp() + lease, seal = checkpoint.seal, position = checkpoint."position",
        passed = checkpoint.passed,
        last_seal = checkpoint.last_seal, last_id = checkpoint.last_id, message_id = checkpoint.message_id,
        token = checkpoint.token, in_doubt = checkpoint.in_doubt,
        crashes = case when checkpoint."position" > l.position then 0 else l.crashes end,
        trying = case when checkpoint."position" > l.position then null else l.trying end,
        appended_at = case when checkpoint."position" > l.position then clock_timestamp() else l.appended_at end
    where l.destination = name and l.lane = checkpoint.lane and l.epoch = checkpoint.epoch
      and l.position = position_before;
    if not found then
        return;
    end if;
    if checkpoint.seal > seal_before then
        insert into relay.mark (destination, lane, seal, position)
        values (name, checkpoint.lane, checkpoint.seal, checkpoint.passed)
        on conflict do nothing;
    end if;
    return query select d.paused_at is not null from relay.destination as d where d.destination = name;
end
$checkpoint$;

comment on function relay.checkpoint(text, integer, bigint, interval, bigint, bigint, bigint, bigint, bigint, bigint, uuid, text, boolean) is
    'Stores how far a lane got and renews its lease; no row when the lease was lost.';
