-- Puts a lane where an operator decided that it stands. Positions go on from there: what was counted behind it is forgotten.
create function relay.move_lane(
    name text, lane integer, epoch bigint, seal bigint, "position" bigint, passed bigint, last_seal bigint, last_id bigint,
    message_id uuid, token text
) returns boolean
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
as $move_lane$
begin
    perform outbox.commit_durably();
    update relay.lane as l
    set seal = move_lane.seal, position = move_lane."position", passed = move_lane.passed, last_seal = move_lane.last_seal,
        last_id = move_lane.last_id, message_id = move_lane.message_id, token = move_lane.token, in_doubt = false
    where l.destination = name and l.lane = move_lane.lane and l.epoch = move_lane.epoch;
    if not found then
        return false;
    end if;
    delete from relay.mark as k where k.destination = name and k.lane = move_lane.lane and k.seal >= move_lane.seal;
    if move_lane.seal > 0 then
        insert into relay.mark (destination, lane, seal, position) values (name, move_lane.lane, move_lane.seal, move_lane.passed);
    end if;
    perform relay.report_recovery(name);
    return true;
end
$move_lane$;

comment on function relay.move_lane(text, integer, bigint, bigint, bigint, bigint, bigint, bigint, uuid, text) is
    'Moves a lane to a place, for the holder of its epoch; false when the lease was lost.';
