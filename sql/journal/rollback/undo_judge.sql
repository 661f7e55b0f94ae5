-- SQL text that gives rows their status, from the images and the live row, in one pass over a source of folded rows. Those
-- that somebody wrote after the session (their xmin is not that of the session's last statement) are left to
-- undo_trace_others. The inner select is fenced by offset 0, so that what it computes is computed once. What every later pass
-- reads stands before the images, which it would have to walk through. image_key is only for rows that stand under another key than their image.
create function journal.undo_judge(relation oid, source text) returns text
language plpgsql stable
as $undo_judge$
#variable_conflict use_variable
begin
    return format($judge$
        select x.live and x.same_cluster and (x.live_xmin = x.xmin_left or x.live_xmin = any (x.xmins)) is true as traced,
               case when x.kind = 'N' then 'noop'
                    when x.broken is not null then 'conflict'
                    when x.kind = 'U' then case when cardinality(x.restored) = 0 then 'noop' when x.live and x.culprit is null then 'restore' else 'conflict' end
                    when x.kind = 'I' then case when not x.live then 'noop' when x.culprit is null then 'remove' else 'conflict' end
                    when not x.live then 'reinsert'
                    when x.culprit is null then 'noop'
                    else 'conflict' end as status,
               case when x.live and x.culprit is null and x.broken is null then null  -- nearly always
                    when x.kind = 'N' then null
                    when x.broken is not null then 'changed_since'
                    when x.kind = 'U' and cardinality(x.restored) = 0 then null
                    when x.kind = 'U' and not x.live then 'deleted_since'
                    when x.kind = 'D' and x.culprit is not null then 'key_reused'
                    when x.kind <> 'D' and x.live and x.culprit is not null then 'changed_since' end as reason,
               false as forced, x.*, null::text as constraint_name, null::bigint as their_statement, null::text as theirs,
               null::oid as their_relation, null::text as their_key, null::int2[] as meddled, false as moved, null::text as image_key
          from (select %1$s as restored, t.ctid is not null as live, t.xmin as live_xmin,
                       case when u.broken is not null then u.broken[1] when t.ctid is not null then %2$s end as culprit, u.*
                  from %3$s u
                  left join %4$s t on %5$s
                offset 0) x$judge$,
        case when journal.undo_maintained(relation) = '{}' then 'u.changed'
             else format('array(select c from unnest(u.changed) c where c <> all (%L::int2[]))', journal.undo_maintained(relation)) end,
        case when (select u.only_updates from pg_temp.journal_undo u where u.relation = undo_judge.relation)
             then journal.undo_differing(relation, 'u.a%s', '%s = any (u.changed)')
             else format('case when u.kind = ''D'' then %s else %s end', journal.undo_differing(relation, 'u.b%s'),
                         journal.undo_differing(relation, 'u.a%s', '(u.kind = ''I'' or %s = any (u.changed))')) end,
        source, journal.undo_rows(relation), journal.undo_key_match(relation, 'coalesce(u.a%1$s, u.b%1$s)'));
end
$undo_judge$;

comment on function journal.undo_judge(oid, text) is 'SQL text that gives folded rows their status. Private.';
