-- What is kept of arguments that are not to be stored: enough to notice others under the same key.
create function journal.arguments_digest(arguments jsonb) returns text
language sql immutable parallel safe
begin atomic
    select 'sha256:' || pg_catalog.encode(pg_catalog.sha256(pg_catalog.convert_to(arguments::text, 'UTF8')), 'hex');
end;

comment on function journal.arguments_digest(jsonb) is 'Digest of arguments that are not stored.';
