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
            execute format($left$
                select array_agg(l.statement_id), array_agg(l.row_key)
                  from (select u.first_statement as statement_id, coalesce(u.image_key, %2$s) as row_key
                          from pg_temp.journal_undo_%1$s u where u.status = 'conflict' and u.xmins is null %3$s) l$left$,
                item.relation, journal.undo_image_key(item.relation),
                case when to_regclass('pg_temp.journal_image_' || item.relation) is not null then format(
                    'union all select u.statement_id, %2$s from pg_temp.journal_image_%1$s u join pg_temp.journal_undo_%1$s w on w.row_no = u.identity
                      where w.status = ''conflict'' and u.images > 1 and not u.standing', item.relation, journal.undo_image_key(item.relation)) else '' end)
               into statements, keys;
        end if;
        perform journal.undo_record_left(rollback_id, item.relation, item.session_ids, item.step_ids, statements, keys);
    end loop;
end
$undo_left$;

comment on function journal.undo_left(uuid) is 'Records the changes that a rollback leaves as they are. Private.';
