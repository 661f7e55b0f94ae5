-- Documents are digested: a time in them reads the same whatever the caller's settings. Stable, or it would not be inlined.
create function journal.utc(at timestamptz) returns text
language sql stable parallel safe
begin atomic
    select pg_catalog.to_char(at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"');
end;

comment on function journal.utc(timestamptz) is 'A time in UTC, ISO 8601, with microseconds and Z.';
