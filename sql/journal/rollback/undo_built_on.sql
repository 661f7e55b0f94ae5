-- The agent sessions that stand in the way of the plan in the work tables.
create function journal.undo_built_on() returns setof uuid
language plpgsql volatile
as $undo_built_on$
declare
    item       record;
    statements bigint[];
begin
    for item in select u.relation, u.first_statement from pg_temp.journal_undo u where u.target is not null order by u.relation loop
        execute format($built_on$
            with conflict as materialized (
                select u.*, %2$s as row_key from pg_temp.journal_undo_%1$s u
                 where u.status = 'conflict' and u.reason in ('changed_since', 'changed_and_back', 'deleted_since', 'key_reused', 'referenced_since', 'unique_taken', 'exclusion_taken')
            )
            select array(
                select c.their_statement from conflict c where c.their_statement is not null
                union
                select o.statement_id from journal.undo_last_statements(%1$s, array(select c.row_key from conflict c where c.their_key is null), $1) o
                union
                select l.statement_id
                  from (select c.their_relation as relation, array_agg(distinct c.their_key) as keys from conflict c where c.their_key is not null group by c.their_relation) r
                 cross join lateral journal.undo_last_statements(r.relation, r.keys) l)$built_on$,
            item.relation, 'pg_catalog.format(''%s'', row(' || journal.undo_list(item.relation, 'coalesce(u.a%1$s, u.b%1$s)', ', ', 'key') || '))')
           into statements using item.first_statement;
        return query select s from journal.undo_agents_of(statements) s;
    end loop;
end
$undo_built_on$;

comment on function journal.undo_built_on() is 'The agent sessions that stand in the way of a plan. Private.';
