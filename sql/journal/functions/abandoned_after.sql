-- An open session that nobody has bound for this long no longer holds anything up.
create function journal.abandoned_after() returns interval
language sql immutable parallel safe
begin atomic
    select interval '7 days';
end;

comment on function journal.abandoned_after() is 'How long an open session may be without a bind before it counts as abandoned.';
