-- The steps, and transactions outside of steps, of which a rollback takes nothing back since it leaves the rows that they changed: none unless
-- it may leave any. Rows with nothing to do decide nothing.
create function journal.undo_left_whole(out steps uuid[], out transactions xid8[])
language plpgsql volatile
as $undo_left_whole$
declare
    item   record;
    found  record;
    tables constant oid[] := array(select u.relation from pg_temp.journal_undo u where u.target is null);
    stayed bigint[] := '{}';
    taken  bigint[] := '{}';
begin
    steps := '{}';
    transactions := '{}';
    if not (select a.skipping from pg_temp.journal_undo_args a)
       or tables = '{}' and not exists (select from pg_temp.journal_undo_group g where g.status = 'conflict') then
        return;
    end if;
    for item in select u.relation from pg_temp.journal_undo u where u.target is not null loop
        execute format($whole$
            select array_agg(distinct l.statement_id) filter (where l.status = 'conflict') as stayed,
                   array_agg(distinct l.statement_id) filter (where l.status not in ('conflict', 'noop')) as taken
              from (select u.status, u.first_statement as statement_id from pg_temp.journal_undo_%1$s u where u.xmins is null %2$s) l$whole$,
            item.relation,
            case when to_regclass('pg_temp.journal_image_' || item.relation) is not null then format(
                'union all select w.status, u.statement_id from pg_temp.journal_image_%1$s u join pg_temp.journal_undo_%1$s w on w.row_no = u.identity
                  where u.images > 1 and not u.standing', item.relation) else '' end)
           into found;
        stayed := stayed || found.stayed;
        taken := taken || found.taken;
    end loop;
    select u.* into steps, transactions
      from pg_temp.journal_undo_args a, journal.undo_untouched(a.session_ids, a.step_ids, tables, stayed, taken) u;
end
$undo_left_whole$;

comment on function journal.undo_left_whole() is 'The steps of which a rollback takes nothing back. Private.';
