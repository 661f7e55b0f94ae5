-- How many rows a captured TRUNCATE may remove. The default has its home here.
create function journal.truncate_limit() returns bigint
language sql immutable parallel safe
begin atomic
    select 1000000::bigint;
end;

comment on function journal.truncate_limit() is 'Most rows that a TRUNCATE may remove and still be captured; above it the TRUNCATE is refused.';
