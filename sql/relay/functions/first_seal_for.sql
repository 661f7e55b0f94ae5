-- The seal from which a new destination takes messages: the first, the next, or the first after a time.
create function relay.first_seal_for(started_from text) returns bigint
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $first_seal_for$
declare
    next_seal constant bigint := coalesce((select max(s.no) + 1 from outbox.seal as s), 1);
begin
    return case started_from
        when 'start' then (select p.through_seal + 1 from outbox.pruned as p)
        when 'now' then next_seal
        else coalesce((
            select min(s.no) from outbox.seal as s
            where s.sealed_at >= started_from::timestamptz and s.no > (select p.through_seal from outbox.pruned as p)), next_seal)
    end;
end
$first_seal_for$;

comment on function relay.first_seal_for(text) is 'Number of the first seal for a destination that starts from start, now, or a time.';
