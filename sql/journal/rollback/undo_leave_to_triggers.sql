-- Rows that triggers had a part in are left to them, and reported, where nobody can say what the triggers would have come to: with skip, if other
-- rows that fire or feel triggers are left alone, and the sessions wrote their tables together with triggers; and always where others wrote them, if others have put a row of the session's back themselves,
-- or an earlier rollback has: then its part in them is put back too, and something else may have made up for that. Returns whether there were any.
create function journal.undo_leave_to_triggers() returns boolean
language plpgsql volatile
as $undo_leave_to_triggers$
declare
    firing constant oid[] := journal.undo_firing();
    skips  constant boolean := (select a.skipping from pg_temp.journal_undo_args a)
                           and exists (select from pg_temp.journal_undo_group g
                                        where g.status = 'conflict'
                                          and (g.by_triggers or g.relation = any (firing)
                                               and g.relation = any ((select journal.undo_fired(a.session_ids, a.step_ids) from pg_temp.journal_undo_args a)::oid[])));
    item   record;
    more   bigint;
    turned boolean := false;
begin
    if not skips and not exists (
            select from pg_temp.journal_undo_group g
             where g.status = 'noop' and g.kind <> 'N' and not g.by_triggers and g.relation = any (firing)
               and (g.kind <> 'U' or not g.changed <@ journal.undo_maintained(g.relation)))
       and not exists (
            select from pg_temp.journal_undo_args a, journal.undo_already(a.session_ids, a.step_ids)
             where exists (select from pg_temp.journal_undo_group g where g.by_triggers)) then
        return false;
    end if;
    for item in select u.relation from pg_temp.journal_undo u where u.target is not null loop
        execute format('update pg_temp.journal_undo_%s u set status = ''conflict'', reason = case when $1 then ''trigger_rewrote'' else ''changed_and_back'' end, culprit = coalesce(u.culprit, u.changed[1])
                         where u.depth <> 1 and u.status in (''remove'', ''restore'', ''reinsert'') and ($1 or u.their_statement is not null)',
                       item.relation)
        using skips;
        get diagnostics more = row_count;
        if more > 0 then
            turned := true;
            perform journal.undo_group(item.relation);
        end if;
    end loop;
    return turned;
end
$undo_leave_to_triggers$;

comment on function journal.undo_leave_to_triggers() is 'Leaves rows to the triggers that keep them, where nobody can say what these would have come to. Private.';
