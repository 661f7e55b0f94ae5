-- When a hold ends at the latest. Refuses what is no hold.
create function outbox.release_at(hold text, since timestamptz) returns timestamptz
language plpgsql stable strict
as $release_at$
declare
    duration interval;
begin
    if hold = 'close' then
        return since + outbox.hold_limit();
    end if;
    begin
        duration := hold::interval;
    exception when data_exception then
        duration := null;
    end;
    if duration is null or duration < interval '0' or hold !~ '[0-9]' then
        raise exception using
            errcode = 'OX000',
            message = 'outbox: no such hold',
            hint = 'a hold is ''close'' (until the session closes) or a duration such as ''30s''';
    end if;
    if duration > outbox.longest_hold() then
        raise exception using
            errcode = 'OX000',
            message = format('outbox: a message may be held for %s at the longest', outbox.longest_hold()),
            hint = 'a held message holds all later messages of its key; publish it when it is due';
    end if;
    return since + duration;
end
$release_at$;

comment on function outbox.release_at(text, timestamptz) is 'The time at which a hold ends at the latest.';
