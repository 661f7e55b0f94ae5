-- Whether a function is one of those that cover writes.
create function journal.is_capture(function oid) returns boolean
language sql stable
begin atomic
    select exists (select from pg_catalog.pg_proc p
                    where p.oid = function and p.pronamespace = 'journal'::pg_catalog.regnamespace and p.proname ~ '^capture_[0-9]+$');
end;

comment on function journal.is_capture(oid) is 'Whether a function is a capture function.';
