-- Makes a destination known, at its first run: topics, lanes and start are recorded under the lock of sealing and never taken from
-- a command line again. Null means "as recorded", or the default.
create function relay.register(
    name text, url text, guarantee text, max_bytes bigint, topics text[] default null, lanes integer default null,
    started_from text default null, on_refusal text default null
) returns boolean
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
as $register$
declare
    first_seal bigint;
begin
    perform from outbox.sealer for update;
    if exists (select from relay.destination as d where d.destination = name) then
        perform relay.check_registered(name, topics, lanes, started_from);
        update relay.destination as d
        set url = register.url, guarantee = register.guarantee, max_bytes = register.max_bytes,
            on_refusal = coalesce(register.on_refusal, d.on_refusal), finished_at = null, finished_with = null
        where d.destination = name
          and (d.url, d.guarantee, d.max_bytes, d.on_refusal, d.finished_at) is distinct from
              (register.url, register.guarantee, register.max_bytes, coalesce(register.on_refusal, d.on_refusal), null);
        return false;
    end if;
    insert into relay.destination (destination, url, guarantee, max_bytes, started_from, on_refusal)
    values (name, register.url, register.guarantee, register.max_bytes, coalesce(register.started_from, 'start'),
            coalesce(register.on_refusal, 'park'));
    first_seal := relay.first_seal_for(coalesce(register.started_from, 'start'));
    insert into relay.route (destination, version, from_seal, topics, lanes)
    values (name, 1, first_seal, coalesce(register.topics, '{*}'), coalesce(register.lanes, 1));
    insert into relay.lane (destination, lane, seal)
    select name, n, first_seal - 1 from generate_series(0, coalesce(register.lanes, 1) - 1) as n;
    return true;
end
$register$;

comment on function relay.register(text, text, text, bigint, text[], integer, text, text) is
    'Registers a destination, or checks that topics, lanes and start are as recorded; true when it is new.';
