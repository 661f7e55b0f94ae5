-- Rows that match by value, but were written again after the session: the journal says what others did. They may have
-- changed other columns; a change of ours that they changed and changed back is a conflict, and so is a write that no
-- ledger row accounts for; those of its rollbacks do, and the session's own where others gave the row another key before it came again. A row that they deleted and inserted again is theirs; where the session has inserted one since, it is gone. After a restore or a rewrite xmin says nothing, and the journal alone decides.
create function journal.undo_trace_others(relation oid) returns void
language plpgsql volatile
as $undo_trace_others$
#variable_conflict use_variable
declare
    work     text := 'journal_undo_' || relation;
    row_key  text := 'pg_catalog.format(''%s'', row(' || journal.undo_list(relation, 'coalesce(u.a%1$s, u.b%1$s)', ', ', 'key') || '))';
    keys     text[];
    since    bigint;
begin
    execute format('select array_agg(%s), min(last_statement) from pg_temp.%I u
                     where live and not traced and status in (''restore'', ''remove'', ''conflict'')', row_key, work)
       into keys, since;
    if keys is null then
        return;
    end if;
    execute format($trace$
        with other as materialized (
            select o.* from pg_temp.journal_undo_args a, journal.undo_others(%1$s, a.session_ids, a.step_ids, $1, $2) o
        ), met as (
            select u.row_no, t.xmin as live_xmin, o.*, m.meddled, not o.family and (u.kind = 'I' or o.whole or m.meddled is not null) as meddles,
                   o.whole and exists (select from pg_temp.%2$I y where y.kind = 'I' and y.live and y.row_no <> u.row_no and %7$s) as gone
              from pg_temp.%2$I u
              join %3$s t on %4$s
              left join other o on o.row_key = %5$s and o.statement_id > u.last_statement
             cross join lateral (select array_agg(c order by c) as meddled from unnest(o.changed) c where c = any (u.changed) and c <> all ($3 || %6$s)) m
             where u.live and not u.traced and u.status in ('restore', 'remove', 'conflict')
        ), seen as (
            select o.row_no, max(o.statement_id) filter (where o.meddles) as meddler, max(o.statement_id) filter (where not o.family) as latest,
                   coalesce(bool_or(o.live_xmin = any (o.ledger_xmins)), false) or bool_or(o.live_xmin = any ($5)) as accounted, coalesce(bool_or(o.whole and not o.family), false) as replaced,
                   coalesce(bool_or(o.gone and not o.family), false) as gone
              from met o
             group by o.row_no
        ), touched as (
            select m.row_no, array_agg(distinct c order by c) as meddled
              from met m, unnest(m.meddled) c
             where m.meddles
             group by m.row_no
        )
        update pg_temp.%2$I u
           set their_statement = coalesce(s.meddler, s.latest), traced = true,
               status = case when u.status = 'conflict' or s.meddler is not null or not s.accounted and $4 and u.same_cluster and not u.restored <@ ($3 || %6$s) then 'conflict' else u.status end,
               live = not s.gone, reason = case when s.gone then 'deleted_since' when s.replaced then 'key_reused'
                             when u.status = 'conflict' then case when u.reason = 'changed_since' and s.latest is null and not s.accounted then 'unjournaled_writer' else u.reason end
                             when s.meddler is not null then 'changed_and_back'
                             when not s.accounted and $4 and u.same_cluster and not u.restored <@ ($3 || %6$s) then 'unjournaled_writer' end,
               culprit = case when not s.gone then coalesce(u.culprit, c.meddled[1], u.changed[1]) end, meddled = case when not s.gone then coalesce(c.meddled, '{}') end
          from seen s
          left join touched c using (row_no)
         where s.row_no = u.row_no$trace$,
        relation, work, journal.undo_rows(relation),
        journal.undo_key_match(relation, 'coalesce(u.a%1$s, u.b%1$s)'), row_key, journal.undo_adjusted(relation),
        journal.undo_list(relation, 'y.a%1$s = u.a%1$s', ' and ', 'key'))
    using since, keys,
          journal.undo_maintained(relation),
          (select bool_and(c.problem is null) from pg_temp.journal_undo_column c where c.relation = undo_trace_others.relation),
          (select journal.undo_own_xmins(relation, a.session_ids, a.step_ids) from pg_temp.journal_undo_args a)
          || journal.undo_rewritten_by(relation, (select u.changed from pg_temp.journal_undo u where u.relation = undo_trace_others.relation));
end
$undo_trace_others$;

comment on function journal.undo_trace_others(oid) is 'Judges rows that somebody wrote after the session. Private.';
