-- Gives every row of one table its status, from the images and the live row, in one pass. Rows that somebody wrote after
-- the session (their xmin is not that of the session's last statement) are left for undo_trace_others.
create function journal.undo_classify(relation oid) returns void
language plpgsql volatile
as $undo_classify$
#variable_conflict use_variable
declare
    target text := (select u.target from pg_temp.journal_undo u where u.relation = undo_classify.relation);
begin
    execute format($classify$
        update pg_temp.%1$I u
           set live = x.live, traced = x.live and x.untouched, culprit = x.differing[1],
               status = case
                   when u.kind = 'N' then 'noop'
                   when u.broken <> '{}' then 'conflict'
                   when u.kind = 'U' and not x.live then 'conflict'
                   when u.kind = 'U' and x.differing = '{}' then 'restore'
                   when u.kind = 'U' then case when x.undone then 'noop' else 'conflict' end
                   when u.kind = 'I' and not x.live then 'noop'
                   when u.kind = 'I' then case when x.differing = '{}' then 'remove' else 'conflict' end
                   when not x.live then 'reinsert'
                   when x.differing = '{}' then 'noop'
                   else 'conflict' end,
               reason = case
                   when u.kind = 'N' then null
                   when u.broken <> '{}' then 'changed_since'
                   when u.kind = 'U' and not x.live then 'deleted_since'
                   when u.kind = 'D' and x.live and x.differing <> '{}' then 'key_reused'
                   when u.kind <> 'D' and x.live and x.differing <> '{}' and not (u.kind = 'U' and x.undone) then 'changed_since' end
          from (select u.row_no, t.ctid is not null as live, t.xmin = any (u.xmins) and u.same_cluster as untouched,
                       case when t.ctid is null then '{}' else array_remove(array[%2$s]::int2[], null) end as differing,
                       %3$s as undone
                  from pg_temp.%1$I u
                  left join only %4$s t on %5$s) x
         where x.row_no = u.row_no$classify$,
        'journal_undo_' || relation,
        journal.undo_list(relation, 'case when (u.kind <> ''U'' or %1$s = any (u.changed)) and '
            'pg_catalog.record_image_ne(row(%5$s), row(case when u.kind = ''D'' then u.b%1$s else u.a%1$s end)) then %1$s end', ', ', 'guard'),
        coalesce(nullif(journal.undo_list(relation, '(%1$s <> all (u.changed) or pg_catalog.record_image_eq(row(%5$s), row(u.b%1$s)))', ' and ', 'guard'), ''), 'true'),
        target, journal.undo_key_match(relation, 'coalesce(u.a%1$s, u.b%1$s)'));
    perform journal.undo_check_columns(relation);
    perform journal.undo_trace_others(relation);
end
$undo_classify$;

comment on function journal.undo_classify(oid) is 'Gives every row of one table of a rollback its status. Private.';
