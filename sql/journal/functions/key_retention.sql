-- How long a retry finds what its key did.
create function journal.key_retention() returns interval
language sql immutable parallel safe
begin atomic
    select interval '30 days';
end;

comment on function journal.key_retention() is 'How long a key is kept after its step began.';
