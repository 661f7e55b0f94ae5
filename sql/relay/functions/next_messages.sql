-- Seals what is there, if asked to, and reads on: one round trip, whether anything came or not. Nothing at all: no further seal. A
-- row without a message: seals that hold nothing for these lanes, or (not whole) one that is too large and is read in parts.
create function relay.next_messages(
    name text, only_lanes integer[], after_seal bigint, until_seal bigint, max_members bigint, max_bytes bigint, and_seal boolean
) returns table (
    through bigint, whole boolean, seal bigint, place bigint, lane integer, message_id text, lineage text, topic text, key text,
    type text, data text, headers text, compensates text, caused_by text, created_at text, bytes integer, aside boolean
)
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
set plan_cache_mode = force_generic_plan
as $next_messages$
declare
    made bigint;
begin
    if and_seal then
        made := outbox.seal();
    end if;
    if made = after_seal + 1 then   -- the everyday case: nothing else is there to be counted together
        select s.no, s.members <= max_members and s.bytes <= max_bytes into through, whole from outbox.seal as s where s.no = made;
    else
        select least(n.through, until_seal), n.whole into through, whole
        from relay.next_seals(name, after_seal, max_members * relay.lanes_of(name), max_bytes) as n;   -- a lane gets its share of them
    end if;
    if through is null then
        return;
    elsif whole then
        return query
        select next_messages.through, true, e.*
        from relay.read_seals(
            name, only_lanes, after_seal + 1, next_messages.through,
            verify => made is distinct from after_seal + 1) as e;   -- what was counted a moment ago need not be counted again
        if found then
            return;
        end if;
    end if;
    return next;
end
$next_messages$;

comment on function relay.next_messages(text, integer[], bigint, bigint, bigint, bigint, boolean) is
    'The messages of the next seals that fit the limits together, up to until_seal (null: all there are), and in each row the last of these seals.';
