-- Rows and changes of a plan per status, whole and per table, as the report shows them. What was taken back before is a noop,
-- each change a row.
create function journal.undo_counts() returns jsonb
language plpgsql volatile
as $undo_counts$
declare
    item    record;
    tables  jsonb := '[]';
    counts  jsonb;
    zero    constant jsonb := '{"total": 0, "restore": 0, "remove": 0, "reinsert": 0, "adjust": 0, "noop": 0, "force": 0, "conflict": 0, "refuse": 0}';
    rows    jsonb := zero;
    changes jsonb := zero;
begin
    for item in
        select relation, coalesce(u.table_name, a.table_name) as table_name, u.images, u.target, u.table_name is not null as concerned,
               case u.obstacle when 'audit_only' then 'conflict' else 'refuse' end as status,
               case when a.images > 0 then jsonb_build_object('noop', a.images) else '{}' end as already
          from pg_temp.journal_undo u
          full join (select a.* from pg_temp.journal_undo_args g, journal.undo_already(g.session_ids, g.step_ids) a) a using (relation)
         order by 2
    loop
        if not item.concerned then
            counts := '{"rows": {}, "changes": {}, "columns": []}';
        elsif item.target is null then
            counts := jsonb_build_object('rows', jsonb_build_object(item.status, item.images), 'changes', jsonb_build_object(item.status, item.images), 'columns', '[]'::jsonb);
        else
            select jsonb_build_object(
                       'rows', coalesce(jsonb_object_agg(s.status, s.rows), '{}'), 'changes', coalesce(jsonb_object_agg(s.status, s.changes), '{}'),
                       'columns', (select coalesce(jsonb_agg(distinct c.name), '[]') from pg_temp.journal_undo_group g, unnest(g.changed) a
                                     join pg_temp.journal_undo_column c on c.relation = item.relation and c.attnum = a where g.relation = item.relation))
              into counts
              from (select case when g.forced and g.status not in ('conflict', 'refuse') then 'force' when g.status = 'restore' and g.restored && journal.undo_counters(item.relation) then 'adjust' else g.status end as status, sum(g.rows) as rows, sum(g.changes) as changes
                      from pg_temp.journal_undo_group g where g.relation = item.relation group by 1) s;
        end if;
        rows := journal.undo_add(journal.undo_add(rows, counts -> 'rows'), item.already);
        changes := journal.undo_add(journal.undo_add(changes, counts -> 'changes'), item.already);
        tables := tables || jsonb_build_object('table', item.table_name, 'rows', journal.undo_add(journal.undo_add('{"total": 0}', counts -> 'rows'), item.already), 'columns', counts -> 'columns',
                                               'maintained', (select coalesce(jsonb_agg(c.name), '[]') from unnest(journal.undo_maintained(item.relation)) as m (attnum)
                                                               join pg_temp.journal_undo_column c on c.relation = item.relation and c.attnum = m.attnum));
    end loop;
    return jsonb_build_object('rows', rows, 'changes', changes, 'tables', tables, 'notes', journal.undo_notes());
end
$undo_counts$;

comment on function journal.undo_counts() is 'Rows and changes of a plan per status. Private.';
