-- The keyed digest of a binding token, nested against length extension. Takes text: what a forger wrote is never cast.
-- In plpgsql, because that keeps its plan: capture asks for every statement.
create function journal.binding_digest(session_id text, step_id text, transaction_id xid8) returns text
language plpgsql stable
as $binding_digest$
declare
    key bytea;
begin
    select s.secret into key from journal.secret s;
    return encode(sha256(key || sha256(key || convert_to(concat_ws('|', session_id, coalesce(step_id, ''), transaction_id::text), 'UTF8'))), 'hex');
end
$binding_digest$;

comment on function journal.binding_digest(text, text, xid8) is 'The keyed digest of a binding token. Private.';
