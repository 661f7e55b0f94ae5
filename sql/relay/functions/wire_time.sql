-- RFC 3339 in UTC, as CloudEvents wants it.
create function relay.wire_time(at_time timestamptz) returns text
language sql stable strict parallel safe
return to_char(at_time at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"');

comment on function relay.wire_time(timestamptz) is 'A time as it travels.';
