-- The seal of a message; readers of the views run it. "Sealed by n" never becomes false again, so after a first guess by transaction id it is searched by halves.
create function outbox.seal_of(id bigint, xid xid8) returns bigint
language plpgsql stable security definer
set search_path = pg_catalog, pg_temp
as $seal_of$
declare
    low bigint;
    high bigint;
    middle bigint;
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
    while high - low > 1 loop   -- not sealed by low, sealed by high
        middle := (low + high) / 2;
        if outbox.sealed_by(middle, id, xid) then
            high := middle;
        else
            low := middle;
        end if;
    end loop;
    return high;
end
$seal_of$;

comment on function outbox.seal_of(bigint, xid8) is 'Number of the seal that a message is a member of; null when it is not sealed.';
