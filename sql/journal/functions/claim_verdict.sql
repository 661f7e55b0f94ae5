-- Whether a claim holds now, by ids alone. The proof belongs to the tenant of the session that claims.
create function journal.claim_verdict(session_id uuid, receipt_id uuid, step_id uuid) returns text
language plpgsql stable security definer
set search_path = pg_catalog, pg_temp
as $claim_verdict$
#variable_conflict use_variable
declare
    proof  journal.receipt;
    proven journal.step;
begin
    select s.* into proven from journal.step s where s.step_id = claim_verdict.step_id;
    select r.* into proof from journal.receipt r where r.receipt_id = claim_verdict.receipt_id or r.step_id = coalesce(proven.replay_of, proven.step_id);
    if proof.step_id is not null then
        select s.* into proven from journal.step s where s.step_id = proof.step_id;
    end if;
    if proven.tenant is distinct from (select s.tenant from journal.session s where s.session_id = claim_verdict.session_id) then
        return 'unbacked';
    elsif proven.status = 'failed' or exists (select from journal.external e where e.step_id = proven.step_id and e.status = 'failed')
       or journal.effective_rollback(proven.session_id, proven.step_id) is not null then
        return 'contradicted';
    end if;
    return case when proof.receipt_id is null then 'unbacked' else 'backed' end;
end
$claim_verdict$;

comment on function journal.claim_verdict(uuid, uuid, uuid) is 'backed, unbacked or contradicted. Private.';
