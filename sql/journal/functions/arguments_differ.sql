-- Arguments are compared as jsonb, or by digest where they were not stored.
create function journal.arguments_differ(one journal.step, other journal.step) returns boolean
language sql immutable
begin atomic
    select case when (one).arguments_digest is null and (other).arguments_digest is null
                then (one).arguments is distinct from (other).arguments
                else coalesce((one).arguments_digest, journal.arguments_digest((one).arguments))
                     is distinct from coalesce((other).arguments_digest, journal.arguments_digest((other).arguments)) end;
end;

comment on function journal.arguments_differ(journal.step, journal.step) is 'Whether two tries were called with other arguments.';
