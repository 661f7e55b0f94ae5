-- A held message holds its key: whoever holds one for good stops everybody's later messages of that key.
create function outbox.longest_hold() returns interval
language sql immutable parallel safe
return interval '7 days';

comment on function outbox.longest_hold() is 'Longest duration that may be given as a hold.';
