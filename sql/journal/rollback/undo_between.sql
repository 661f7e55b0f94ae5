-- What others journaled on rows between two transactions of the session that wrote them, changed null where they inserted or
-- deleted the row, or gave it another key. Values may fit together although others have changed them, and changed them back.
create function journal.undo_between(relation oid) returns void
language plpgsql volatile
as $undo_between$
#variable_conflict use_variable
declare
    before_key constant text := pg_catalog.format('pg_catalog.format(''%%s'', row(%s))', journal.undo_list(relation, 'i.b%1$s', ', ', 'key'));
    after_key  constant text := pg_catalog.format('pg_catalog.format(''%%s'', row(%s))', journal.undo_list(relation, 'i.a%1$s', ', ', 'key'));
begin
    execute format($between$
        create temporary table %1$I on commit drop as
        with visit as (
            select i.identity, i.statement_id, i.transaction_id, case when i.kind = 'I' then %3$s else %4$s end as came_to,
                   lag(i.statement_id) over w as since, lag(i.transaction_id) over w as previous, lag(case when i.kind = 'D' then %4$s else %3$s end) over w as left_at
              from pg_temp.%2$I i
             where i.images > 1
            window w as (partition by i.identity order by i.statement_id)
        ), gap as materialized (
            select v.identity, v.since, v.statement_id as until, k.row_key
              from visit v cross join lateral (select v.came_to union select v.left_at) as k (row_key)
             where v.previous <> v.transaction_id
        ), gaps as (
            select min(since) as since, max(until) as until, array_agg(distinct row_key) as keys from gap having count(*) > 0
        )
        select distinct g.identity, o.statement_id, case when not o.whole and o.moved_to is null then o.changed end as changed
          from gaps s
         cross join pg_temp.journal_undo_args a
         cross join lateral journal.undo_others(%5$s, a.session_ids, a.step_ids, s.since, s.keys, s.until) o
          join gap g on g.row_key = o.row_key and o.statement_id > g.since and o.statement_id < g.until
         where not o.family$between$,
        'journal_between_' || relation, 'journal_image_' || relation, after_key, before_key, relation);
    execute format('create index on pg_temp.%I (identity)', 'journal_between_' || relation);
end
$undo_between$;

comment on function journal.undo_between(oid) is 'What others did to rows between two visits of a session. Private.';
