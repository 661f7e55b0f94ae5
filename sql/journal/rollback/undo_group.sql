-- Counts the rows of a work table by what is done with them: one pass, from which everything is read that concerns many rows.
-- To be called whenever statuses may have changed.
create function journal.undo_group(relation oid) returns void
language plpgsql volatile
as $undo_group$
#variable_conflict use_variable
begin
    delete from pg_temp.journal_undo_group g where g.relation = undo_group.relation;
    execute format($group$
        insert into pg_temp.journal_undo_group
        select %1$s, g.status, g.kind, g.by_triggers, g.forced, g.untraced, g.changed, case when g.status = 'restore' then coalesce(g.less, g.changed) end, g.rows, g.changes
          from (select u.status, u.kind, u.depth > 1 as by_triggers, u.forced, u.live and not u.traced as untraced, u.changed,
                       nullif(u.restored, u.changed) as less,  -- mostly null, and nulls are cheaper to group than arrays
                       count(*) as rows, sum(u.images) as changes
                  from pg_temp.journal_undo_%1$s u
                 group by 1, 2, 3, 4, 5, 6, 7) g$group$, relation);
    update pg_temp.journal_undo u
       set restored = array(select distinct c from pg_temp.journal_undo_group g, unnest(g.restored) c where g.relation = undo_group.relation order by c),
           removes = exists (select from pg_temp.journal_undo_group g where g.relation = undo_group.relation and g.status = 'remove'),
           reinserts = exists (select from pg_temp.journal_undo_group g where g.relation = undo_group.relation and g.status = 'reinsert')
     where u.relation = undo_group.relation;
end
$undo_group$;

comment on function journal.undo_group(oid) is 'Counts the rows of a work table by what is done with them. Private.';
