-- The seal of a message; readers of the views run it. It is guessed by transaction id first, and searched where the guess is wrong.
create function outbox.seal_of(id bigint, xid xid8) returns bigint
language plpgsql stable security definer
set search_path = pg_catalog, pg_temp
as $seal_of$
declare
    low bigint;
    high bigint;
begin
    if exists (select from outbox.cancellation as c where c.id = seal_of.id) then
        return null;
    end if;
    select s.no into low from outbox.seal as s
    where pg_snapshot_xmax(s.snap) > xid and s.max_id >= seal_of.id and s.from_id < seal_of.id
    order by pg_snapshot_xmax(s.snap), s.no limit 1;
    low := coalesce(low, (select min(s.no) from outbox.seal as s));
    if low is null or outbox.sealed_by(low, id, xid) then
        return low;
    end if;
    select max(s.no) into high from outbox.seal as s;
    if not outbox.sealed_by(high, id, xid) then
        return null;
    end if;
    return outbox.first_seal_holding(low, high, id, xid, null);
end
$seal_of$;

comment on function outbox.seal_of(bigint, xid8) is 'Number of the seal that a message is a member of; null when it is not sealed.';
