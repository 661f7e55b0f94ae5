-- What a provider is told to recognise a repeated request by: the same for every try of a key, another in every other database.
create function journal.provider_key(tenant text, tool text, key text, attempt integer) returns text
language plpgsql stable
as $provider_key$
begin
    return 'journal-' || left(journal.keyed_digest('provider key', jsonb_build_array(tenant, tool, key, attempt)::text, null), 48);
end
$provider_key$;

comment on function journal.provider_key(text, text, text, integer) is 'The idempotency key that a provider is given. Private.';
