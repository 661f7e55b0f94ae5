-- Whether triggers did part of what a session did to a table.
create function journal.undo_by_triggers(relation oid) returns boolean
language plpgsql stable
as $undo_by_triggers$
declare
    too boolean := false;
begin
    if to_regclass('pg_temp.journal_fold_' || relation) is not null then
        execute format('select exists (select from pg_temp.%I f where f.depth = 0)', 'journal_fold_' || relation) into too;
    end if;
    return too or exists (select from pg_temp.journal_undo_group g where g.relation = undo_by_triggers.relation and g.by_triggers);
end
$undo_by_triggers$;

comment on function journal.undo_by_triggers(oid) is 'Whether triggers did part of the work on a table under rollback. Private.';
