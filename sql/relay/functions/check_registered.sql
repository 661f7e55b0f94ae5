-- Refuses options that differ from those of the first run.
create function relay.check_registered(name text, topics text[], lanes integer, started_from text) returns void
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
as $check_registered$
declare
    recorded record;
begin
    select r.topics, r.lanes, d.started_from into recorded
    from relay.destination as d join relay.route as r using (destination)
    where d.destination = name order by r.version desc limit 1;
    if coalesce(topics, recorded.topics) <> recorded.topics or coalesce(lanes, recorded.lanes) <> recorded.lanes
       or coalesce(started_from, recorded.started_from) <> recorded.started_from then
        raise exception using
            errcode = '22023',
            message = format('relay: %s was first run with topics %s, %s lanes, from %s', name,
                             array_to_string(recorded.topics, ' '), recorded.lanes, recorded.started_from),
            hint = 'leave the options out, or give the destination another --name';
    end if;
end
$check_registered$;

comment on function relay.check_registered(text, text[], integer, text) is 'Raises unless the options are null or as recorded.';
