-- Whether triggers did part of what a session did to a table.
create function journal.undo_by_triggers(relation oid) returns boolean
language plpgsql volatile
as $undo_by_triggers$
declare
    answer boolean;
begin
    execute format('select exists (select from pg_temp.journal_undo_%s where depth > 1)', relation) into answer;
    return answer;
end
$undo_by_triggers$;

comment on function journal.undo_by_triggers(oid) is 'Whether triggers did part of the work on a table under rollback. Private.';
