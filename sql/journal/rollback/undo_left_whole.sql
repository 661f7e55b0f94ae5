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
        execute format('select array_agg(distinct c.statement_id) filter (where c.status = ''conflict'') as stayed,
                               array_agg(distinct c.statement_id) filter (where c.status not in (''conflict'', ''noop'')) as taken
                          from (%s) c', journal.undo_each_change(item.relation))
           into found;
        stayed := stayed || found.stayed;
        taken := taken || found.taken;
    end loop;
    select u.* into steps, transactions
      from pg_temp.journal_undo_args a, journal.undo_untouched(a.session_ids, a.step_ids, tables, stayed, taken) u;
end
$undo_left_whole$;

comment on function journal.undo_left_whole() is 'The steps of which a rollback takes nothing back. Private.';
