-- "Sealed by n" never becomes false again, so the seal is searched by halves. `low` does not hold it, `high` does.
create function outbox.first_seal_holding(low bigint, high bigint, id bigint, xid xid8, leaf regclass) returns bigint
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $first_seal_holding$
declare
    middle bigint;
begin
    while high - low > 1 loop
        middle := (low + high) / 2;
        if (case when leaf is null then outbox.sealed_by(middle, id, xid) else outbox.all_sealed_by(leaf, middle) end) then
            high := middle;
        else
            low := middle;
        end if;
    end loop;
    return high;
end
$first_seal_holding$;

comment on function outbox.first_seal_holding(bigint, bigint, bigint, xid8, regclass) is
    'The first seal after low, up to high, by which a message (leaf is null), or all messages of a partition, are sealed.';
