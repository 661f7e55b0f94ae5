-- What a step of the running transaction changed so far, counted in the ledger; no image is read.
create function journal.step_changes(step_id uuid) returns jsonb
language plpgsql stable
as $step_changes$
declare
    counts jsonb;
begin
    select jsonb_object_agg(counted.table_name, counted.operations) into counts
      from (
           select summed.table_name, jsonb_object_agg(lower(journal.operation_name(summed.operation)), summed.rows) as operations
             from (
                  select coalesce(journal.qualified_name(g.relation), g.table_name) as table_name, s.operation, sum(s.rows) as rows
                    from journal.statement s
                    join journal.segment g on g.segment_id = s.segment_id
                   where s.transaction_id = pg_current_xact_id()
                     and s.cluster = journal.cluster_id()
                     and step_changes.step_id = (
                         select b.step_id from journal.binding b
                          where b.transaction_id = s.transaction_id and b.cluster = s.cluster and b.statement_id < s.statement_id
                          order by b.statement_id desc
                          limit 1)
                   group by 1, 2
                  ) summed
            group by summed.table_name
           ) counted;
    return coalesce(counts, '{}');
end
$step_changes$;

comment on function journal.step_changes(uuid) is 'Row counts of a step of the running transaction, such as {"public.orders": {"update": 1}}.';
