-- Where rows of a table with triggers are left alone, or rows that triggers keep, nobody can say what these triggers would have come to without the others:
-- rows that triggers had a part in are then left to them, and reported. Only with skip; otherwise nothing is written anyway.
-- Returns whether there were any.
create function journal.undo_leave_to_triggers() returns boolean
language plpgsql volatile
as $undo_leave_to_triggers$
declare
    item record;
    more bigint;
    turned boolean := false;
begin
    if not (select a.skipping from pg_temp.journal_undo_args a) or not exists (
            select from pg_temp.journal_undo_group g
             where g.status = 'conflict' and (g.by_triggers or exists (
                   select from pg_trigger t join pg_proc p on p.oid = t.tgfoid and p.pronamespace <> 'journal'::regnamespace
                    where t.tgrelid = g.relation and not t.tgisinternal))) then
        return false;
    end if;
    for item in select u.relation from pg_temp.journal_undo u where u.target is not null loop
        execute format('update pg_temp.journal_undo_%s u set status = ''conflict'', reason = ''trigger_rewrote'' where u.depth <> 1 and u.status in (''remove'', ''restore'', ''reinsert'')',
                       item.relation);
        get diagnostics more = row_count;
        if more > 0 then
            turned := true;
            perform journal.undo_group(item.relation);
        end if;
    end loop;
    return turned;
end
$undo_leave_to_triggers$;

comment on function journal.undo_leave_to_triggers() is 'Leaves rows to the triggers that keep them, where others are skipped. Private.';
