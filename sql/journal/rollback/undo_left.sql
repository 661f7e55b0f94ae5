-- Records which changes a rollback leaves as they are, so that the next one concerns itself with these alone: what others do to the
-- rows that were taken back is theirs from now on.
create function journal.undo_left(rollback_id uuid) returns void
language plpgsql volatile
as $undo_left$
declare
    item       record;
    statements bigint[];
    keys       text[];
begin
    for item in
        select u.relation, u.target, a.session_ids, a.step_ids from pg_temp.journal_undo u, pg_temp.journal_undo_args a
         where u.target is null or exists (select from pg_temp.journal_undo_group g where g.relation = u.relation and g.status = 'conflict')
    loop
        statements := null;
        keys := null;
        if item.target is not null then
            execute format('select array_agg(c.statement_id), array_agg(c.row_key) from (%s) c where c.status = ''conflict''', journal.undo_each_change(item.relation))
               into statements, keys;
        end if;
        perform journal.undo_record_left(rollback_id, item.relation, item.session_ids, item.step_ids, statements, keys);
    end loop;
end
$undo_left$;

comment on function journal.undo_left(uuid) is 'Records the changes that a rollback leaves as they are. Private.';
