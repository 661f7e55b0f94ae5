-- How long images are kept. The default has its home here.
create function journal.retention() returns interval
language sql immutable parallel safe
begin atomic
    select interval '30 days';
end;

comment on function journal.retention() is 'How long images are kept after their segment was closed.';
