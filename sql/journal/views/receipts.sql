-- What completed steps did, as their own commits say. All but the status, and what belongs to it, is read from the document.
create view journal.receipts as
select r.receipt_id,
       s.session_id,
       s.step_id,
       s.tool,
       s.tenant,
       s.key,
       s.attempt,
       case when undone.rollback_id is not null then 'reversed'
            when confirmed.at is not null then 'confirmed'
            when delivered.at is not null then 'delivered'
            else 'committed' end as status,
       (r.document ->> 'committed_at')::timestamptz as committed_at,
       delivered.at as delivered_at,
       confirmed.at as confirmed_at,
       (select min(v.reversed_at) from journal.reversal v
         where v.session_id = s.session_id and v.rollback_id = undone.rollback_id) as reversed_at,
       undone.rollback_id as reversed_by,
       r.document -> 'changes' as changes,
       array(select m.id::uuid from jsonb_array_elements_text(r.document -> 'message_ids') with ordinality as m (id, n) order by m.n) as message_ids,
       r.document -> 'result' as result,
       r.digest,
       r.document
  from journal.receipt r
  join journal.step s on s.step_id = r.step_id
 cross join lateral journal.effective_rollback(s.session_id, s.step_id) as undone (rollback_id)
 cross join lateral journal.delivered_at(r.document -> 'message_ids') as delivered (at)
 cross join lateral (select min(c.confirmed_at) from journal.confirmation c where c.receipt_id = r.receipt_id) as confirmed (at);

comment on view journal.receipts is 'Receipts: what a step did, recorded in its own commit. A row exists if and only if the step committed.';
comment on column journal.receipts.receipt_id is 'Id of the receipt.';
comment on column journal.receipts.session_id is 'Agent session of the step.';
comment on column journal.receipts.step_id is 'The step.';
comment on column journal.receipts.tool is 'Name of the tool.';
comment on column journal.receipts.tenant is 'Tenant of the session.';
comment on column journal.receipts.key is 'Idempotency key; null: none.';
comment on column journal.receipts.attempt is 'Which attempt under the key.';
comment on column journal.receipts.status is
    'committed; delivered (every destination that takes its messages has stored them all); confirmed (by a consumer); reversed (by a rollback that is in effect).';
comment on column journal.receipts.committed_at is 'When the step was completed, just before its commit.';
comment on column journal.receipts.delivered_at is 'When the last of its messages was known to be stored; null: not yet, or there are none.';
comment on column journal.receipts.confirmed_at is 'When a consumer first confirmed it.';
comment on column journal.receipts.reversed_at is 'When it was rolled back.';
comment on column journal.receipts.reversed_by is 'Rollback that took it back.';
comment on column journal.receipts.changes is 'Changed rows per table and operation, counted in the ledger: {"public.orders": {"update": 1}}.';
comment on column journal.receipts.message_ids is 'Messages that the step published, in order.';
comment on column journal.receipts.result is 'Result of the step.';
comment on column journal.receipts.digest is '''sha256:'' and the hex digest of document::text in UTF-8.';
comment on column journal.receipts.document is 'All that the receipt says; written once, in the commit of the step.';
