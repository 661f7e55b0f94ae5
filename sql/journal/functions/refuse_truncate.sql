-- The one home of the error for a TRUNCATE that could not be undone.
create function journal.refuse_truncate(relation oid, reason text, remedy text) returns void
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $refuse_truncate$
begin
    raise exception using
        errcode = 'JR023',
        message = format('journal: TRUNCATE of %s is refused, because it could not be undone: %s', relation::regclass, reason),
        hint = remedy,
        table = relation::regclass::text;
end
$refuse_truncate$;

comment on function journal.refuse_truncate(oid, text, text) is 'Raises CaptureFailed for a TRUNCATE.';
