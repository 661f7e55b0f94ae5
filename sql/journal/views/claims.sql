-- What agents asserted, judged anew whenever it is read: a receipt that is rolled back contradicts what it backed before.
create view journal.claims as
select c.claim_id,
       c.session_id,
       coalesce(c.receipt_id, r.receipt_id) as receipt_id,
       c.claim,
       journal.claim_verdict(c.session_id, c.receipt_id, c.step_id) as verdict,
       c.claimed_at
  from journal.claim c
  left join journal.step s on s.step_id = c.step_id
  left join journal.receipt r on r.step_id = coalesce(s.replay_of, s.step_id);

comment on view journal.claims is 'What agents said they did, and whether a receipt says so too.';
comment on column journal.claims.claim_id is 'Id of the claim.';
comment on column journal.claims.session_id is 'Agent session that made it.';
comment on column journal.claims.receipt_id is 'Receipt that it points to, which may not exist; null: none.';
comment on column journal.claims.claim is 'What was said. Never interpreted.';
comment on column journal.claims.verdict is
    'backed (a receipt of the tenant, in effect), unbacked (there is none), or contradicted (what it points to was rolled back, or failed).';
comment on column journal.claims.claimed_at is 'When it was said.';
