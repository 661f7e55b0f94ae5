-- The TRUNCATE branch of a capture function.
create function journal.capture_truncate(segment journal.segment, options journal.covered_table) returns text
language sql stable
begin atomic
    select $truncate$
        raise exception using
            errcode = 'JR023',
            message = format('journal: TRUNCATE of %s is refused, because it could not be undone', tg_relid::regclass),
            hint = 'delete the rows, or run journal uncover first',
            table = tg_relid::regclass::text;$truncate$;
end;

comment on function journal.capture_truncate(journal.segment, journal.covered_table) is 'SQL text of the TRUNCATE branch of a capture function.';
