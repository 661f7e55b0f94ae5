-- A digest that only the journal can make, nested against length extension. Takes text: what a forger wrote is never cast.
-- In plpgsql, because that keeps its plan.
create function journal.keyed_digest(purpose text, content text, transaction_id xid8) returns text
language plpgsql stable
as $keyed_digest$
declare
    key bytea;
begin
    select s.secret into key from journal.secret s;
    return encode(sha256(key || sha256(key || convert_to(concat_ws('|', purpose, coalesce(content, ''), transaction_id::text), 'UTF8'))), 'hex');
end
$keyed_digest$;

comment on function journal.keyed_digest(text, text, xid8) is 'A keyed digest of content, good for one purpose and, where given, one transaction. Private.';
