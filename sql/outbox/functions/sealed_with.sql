-- The seal with which the last message of a partition was sealed, searched by halves; null when it is not at or before `latest`.
create function outbox.sealed_with(leaf regclass, latest bigint) returns bigint
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $sealed_with$
declare
    low bigint := (select max(s.no) from outbox.seal as s where s.no <= (select p.through_seal from outbox.pruned as p));
    high bigint := latest;
    middle bigint;
begin
    if not exists (select from outbox.seal as s where s.no = latest) or not outbox.all_sealed_by(leaf, latest) then
        return null;
    end if;
    low := coalesce(low, 0);
    while high - low > 1 loop   -- not sealed by low, sealed by high
        middle := (low + high) / 2;
        if outbox.all_sealed_by(leaf, middle) then
            high := middle;
        else
            low := middle;
        end if;
    end loop;
    return high;
end
$sealed_with$;

comment on function outbox.sealed_with(regclass, bigint) is 'Number of the first seal by which all messages of a partition are sealed, up to a seal; null when there is none.';
