-- Whether writing the tables of a plan may make triggers of the user's write them too.
create function journal.undo_stirs_triggers() returns boolean
language plpgsql stable
as $undo_stirs_triggers$
begin
    return exists (select from pg_temp.journal_undo_group g where g.by_triggers)
        or exists (select from pg_temp.journal_undo u
                     join pg_trigger t on t.tgrelid = u.relation and not t.tgisinternal and t.tgenabled in ('O', 'A') and t.tgtype & 66 = 0
                     join pg_proc p on p.oid = t.tgfoid and p.pronamespace <> 'journal'::regnamespace);
end
$undo_stirs_triggers$;

comment on function journal.undo_stirs_triggers() is 'Whether a rollback may make triggers write the tables that it writes. Private.';
