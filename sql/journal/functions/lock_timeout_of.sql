-- A wait as lock_timeout takes it: 0 would mean for ever, and more than 24 days is more than it takes.
create function journal.lock_timeout_of(wait interval) returns text
language sql immutable
begin atomic
    select least(greatest(1, ceil(extract(epoch from wait) * 1000)), 2147483647)::bigint::text;
end;

comment on function journal.lock_timeout_of(interval) is 'The wait in milliseconds, as the setting lock_timeout takes it. Private.';
