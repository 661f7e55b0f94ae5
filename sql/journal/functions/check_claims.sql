-- Claims as they stand now, as drivers of any kind read them: of a session, and of others that work for the same tenant, such as
-- its children.
create function journal.check_claims(session_id uuid, claim_ids uuid[]) returns jsonb
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
as $check_claims$
begin
    return (
        select coalesce(jsonb_agg(to_jsonb(c) order by named.n), '[]')
          from unnest(claim_ids) with ordinality as named (claim_id, n)
          join journal.claims c on c.claim_id = named.claim_id
          join journal.session s on s.session_id = c.session_id and s.db_user = session_user
          join journal.session asking on asking.session_id = check_claims.session_id and asking.db_user = session_user
         where s.tenant = asking.tenant);
end
$check_claims$;

comment on function journal.check_claims(uuid, uuid[]) is
    'Rows of journal.claims as JSON, in the order asked for: of sessions of the caller''s, of the tenant of this one. Those that are not there are left out.';
