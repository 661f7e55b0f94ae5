-- Arguments are compared as jsonb, or by digest where they were not stored.
create function journal.arguments_differ(step journal.step, arguments jsonb) returns boolean
language sql stable
begin atomic
    select case when (step).arguments_digest is null then (step).arguments is distinct from arguments
                else (step).arguments_digest is distinct from journal.arguments_digest(arguments) end;
end;

comment on function journal.arguments_differ(journal.step, jsonb) is 'Whether a try was called with other arguments than these.';
