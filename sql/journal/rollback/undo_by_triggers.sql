-- Whether triggers did part of what a session did to a table.
create function journal.undo_by_triggers(relation oid) returns boolean
language plpgsql stable
as $undo_by_triggers$
begin
    return exists (select from pg_temp.journal_undo_group g where g.relation = undo_by_triggers.relation and g.by_triggers);
end
$undo_by_triggers$;

comment on function journal.undo_by_triggers(oid) is 'Whether triggers did part of the work on a table under rollback. Private.';
