-- What a provider is told to recognise a repeated request by: the same for every try of a key, another in every other database. A
-- key that had expired stands for another effect, which the provider must not take for the first.
create function journal.provider_key(tenant text, tool text, key text, attempt integer) returns text
language plpgsql stable
as $provider_key$
declare
    effect   jsonb := jsonb_build_array(tenant, tool, key, attempt);
    provider text;
begin
    loop
        provider := 'journal-' || left(journal.keyed_digest('provider key', effect::text, null), 48);
        exit when not exists (
            select from journal.external e join journal.step s on s.step_id = e.step_id
             where e.provider_key = provider and s.key_expires_at <= clock_timestamp());
        effect := effect || jsonb_build_array(provider);
    end loop;
    return provider;
end
$provider_key$;

comment on function journal.provider_key(text, text, text, integer) is 'The idempotency key that a provider is given. Private.';
