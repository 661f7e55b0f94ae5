-- The plan of a rollback as rows: one per table and status first, then one per conflict.
create function journal.plan_rollback(session_ids uuid[], step_ids uuid[] default null, on_conflict text default 'refuse')
returns table (status text, relation regclass, key jsonb, column_name text, reason text, base text, ours text, theirs text, constraint_name text,
               their_session_id uuid, their_user text, their_at timestamptz, rows bigint)
language plpgsql volatile
as $plan_rollback$
declare
    report constant jsonb := journal.rollback_report(session_ids, step_ids, on_conflict, 'plan', shown => 1000000);
begin
    return query
    select s.status, to_regclass(t.listed ->> 'table'), null::jsonb, null, null, null, null, null, null, null::uuid, null, null::timestamptz, s.rows::bigint
      from jsonb_array_elements(report -> 'tables') as t (listed), jsonb_each_text(t.listed -> 'rows') as s (status, rows)
     where s.status not in ('total', 'conflict')
    union all
    select 'conflict', to_regclass(c ->> 'table'), c -> 'key', c ->> 'column', c ->> 'reason', c ->> 'base', c ->> 'ours', c ->> 'theirs',
           c ->> 'constraint', (c #>> '{their,session_id}')::uuid, c #>> '{their,db_user}', (c #>> '{their,at}')::timestamptz, 1
      from jsonb_array_elements(report -> 'conflicts') as c;
end
$plan_rollback$;

comment on function journal.plan_rollback(uuid[], uuid[], text) is
    'What a rollback would do: the rows per table and status, then each conflict (rows = 1, with its key). Changes nothing.';
