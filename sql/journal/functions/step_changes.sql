-- What a step of the running transaction changed so far, counted in the ledger, or as it was noted; no image is read.
create function journal.step_changes(step_id uuid, noted jsonb) returns jsonb
language plpgsql stable
as $step_changes$
declare
    counts  jsonb := '{}';
    counted record;
begin
    if noted is not null then
        for counted in
            select s.key::integer as segment_id, o.key::"char" as operation, o.value::bigint as rows
              from jsonb_each(noted -> 'rows') s, jsonb_each_text(s.value) o
        loop
            counts := journal.add_count(counts, counted.segment_id, counted.operation, counted.rows);
        end loop;
        return counts;
    end if;
    for counted in
        select s.segment_id, s.operation, sum(s.rows)::bigint as rows
          from journal.statement s
         where s.transaction_id = pg_current_xact_id()
           and s.cluster = journal.cluster_id()
           and step_changes.step_id = (
               select b.step_id from journal.binding b
                where b.transaction_id = s.transaction_id and b.cluster = s.cluster and b.statement_id < s.statement_id
                order by b.statement_id desc
                limit 1)
         group by s.segment_id, s.operation
    loop
        counts := journal.add_count(counts, counted.segment_id, counted.operation, counted.rows);
    end loop;
    return counts;
end
$step_changes$;

comment on function journal.step_changes(uuid, jsonb) is 'Row counts of a step of the running transaction, such as {"public.orders": {"update": 1}}.';
