-- Seals what is there, if asked to, and says how many of the next seals fit into one read: one round trip of an idle relay.
create function relay.poll(name text, after_seal bigint, max_members bigint, max_bytes bigint, and_seal boolean)
returns table (through bigint, whole boolean)
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
as $poll$
begin
    if and_seal then
        perform outbox.seal();
    end if;
    return query select n.through, n.whole from relay.next_seals(name, after_seal, max_members, max_bytes) as n;
end
$poll$;

comment on function relay.poll(text, bigint, bigint, bigint, boolean) is 'Seals, and returns the last of the next seals whose members fit the limits together; whole is false when one seal alone exceeds them; no row when there is no further seal.';
