-- Stands in the statements of a capture function, so that whatever the server says about one that fails, on a full disk or for
-- a missing right, names the table. Nothing in it ends the comment or looks like a piece to fill in.
create function journal.capture_comment(segment journal.segment) returns text
language sql immutable
begin atomic
    select pg_catalog.format(' /* journal: changes of %s */', pg_catalog.translate(segment.table_name, '/*{}', '____'));
end;

comment on function journal.capture_comment(journal.segment) is 'SQL comment that names the table of a segment.';
