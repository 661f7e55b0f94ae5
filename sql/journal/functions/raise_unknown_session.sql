-- One wording for a session that is not there.
create function journal.raise_unknown_session(session_id uuid) returns void
language plpgsql immutable
set search_path = pg_catalog, pg_temp
as $raise_unknown_session$
begin
    raise exception using
        errcode = 'JR009', message = format('there is no session %s', coalesce(session_id::text, 'without an id')),
        hint = 'journal.sessions lists them';
end
$raise_unknown_session$;

comment on function journal.raise_unknown_session(uuid) is 'Raises UnknownSession. Private.';
