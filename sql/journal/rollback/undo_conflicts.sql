-- The rows that a rollback leaves or refuses, with base, ours, theirs and who: at most so many per table. One column is named first, the others
-- with theirs under also. With forced, the rows that it overwrites; to be asked before it does.
create function journal.undo_conflicts(shown integer, forced boolean) returns jsonb
language plpgsql volatile
as $undo_conflicts$
declare
    item record;
    part jsonb;
    all_of_them jsonb := '[]';
begin
    for item in select u.relation, u.table_name, u.target, u.obstacle, u.first_statement from pg_temp.journal_undo u order by u.table_name loop
        continue when item.target is null and forced;
        if item.target is null then
            all_of_them := all_of_them || jsonb_build_object('table', item.table_name, 'key', null, 'column', null, 'reason', replace(replace(item.obstacle, 'audit_only', 'coverage_gap'), 'key_changed', 'table_recreated'),
                                                             'base', null, 'ours', null, 'theirs', journal.undo_obstacle(item.obstacle, item.table_name), 'constraint', null, 'forced', false, 'their', null, 'also', '[]'::jsonb);
            continue;
        end if;
        continue when not exists (select from pg_temp.journal_undo_group g where g.relation = item.relation
                                     and case when undo_conflicts.forced then g.forced and g.status not in ('conflict', 'refuse') else g.status in ('conflict', 'refuse') end);
        execute format($conflicts$
            with conflict as materialized (
                select u.*, %2$s as row_key, pg_catalog.jsonb_build_object(%3$s) as key, c.name as column_name,
                       case when not c.hidden then case u.culprit %4$s end end as base, case when not c.hidden then case u.culprit %5$s end end as ours, case when u.live then case u.culprit %6$s end end as live_value, %12$s as also
                  from pg_temp.journal_undo_%1$s u
                  left join %7$s t on %8$s
                  left join pg_temp.journal_undo_column c on c.relation = %1$s and c.attnum = u.culprit
                 where case when %11$L then u.forced and u.status not in ('conflict', 'refuse') else u.status in ('conflict', 'refuse') end
                 order by u.row_no
                 limit $1
            ), other as materialized (
                select o.* from journal.undo_last_statements(%1$s, array(select c.row_key from conflict c), %9$s) o
            ), theirs as materialized (
                select r.relation, l.row_key, l.statement_id
                  from (select c.their_relation as relation, array_agg(distinct c.their_key) as keys from conflict c
                         where c.their_statement is null and c.their_key is not null group by c.their_relation) r
                 cross join lateral journal.undo_last_statements(r.relation, r.keys) l
            )
            select coalesce(jsonb_agg(jsonb_build_object(
                       'table', %10$L, 'key', c.key, 'column', c.column_name, 'reason', c.reason, 'base', c.base, 'ours', c.ours,
                       'theirs', coalesce(c.theirs, c.live_value), 'constraint', c.constraint_name, 'forced', %11$L::boolean, 'also', c.also,
                       'their', case when c.reason not in ('no_privilege', 'column_dropped', 'retyped', 'trigger_rewrote', 'constraint_added', 'unjournaled_writer')
                                     then journal.undo_their(coalesce(c.their_statement, l.statement_id, o.statement_id)) end) order by c.row_no), '[]')
              from conflict c
              left join other o using (row_key)
              left join theirs l on l.relation = c.their_relation and l.row_key = c.their_key$conflicts$,
            item.relation,
            'pg_catalog.format(''%s'', row(' || journal.undo_list(item.relation, 'coalesce(u.a%1$s, u.b%1$s)', ', ', 'key') || '))',
            (select string_agg(format('%L, pg_catalog.format(''%%s'', coalesce(u.a%s, u.b%2$s))', c.name, c.attnum), ', ' order by c.key_position)
               from pg_temp.journal_undo_column c where c.relation = item.relation and c.key_position is not null),
            journal.undo_list(item.relation, 'when %1$s then case when u.b%1$s is not null then pg_catalog.format(''%%s'', u.b%1$s) end', ' '),
            journal.undo_list(item.relation, 'when %1$s then case when u.a%1$s is not null then pg_catalog.format(''%%s'', u.a%1$s) end', ' '),
            coalesce(nullif(journal.undo_list(item.relation, 'when %1$s then case when t.%2$s is distinct from null then pg_catalog.format(''%%s'', t.%2$s) end', ' ', 'live'), ''), 'when 0 then null'),
            journal.undo_rows(item.relation), journal.undo_key_match(item.relation, 'coalesce(u.a%1$s, u.b%1$s)'), item.first_statement, item.table_name, forced, journal.undo_also(item.relation))
           into part using shown;
        all_of_them := all_of_them || part;
    end loop;
    return all_of_them;
end
$undo_conflicts$;

comment on function journal.undo_conflicts(integer, boolean) is 'The conflicts of a plan, as the report shows them. Private.';
