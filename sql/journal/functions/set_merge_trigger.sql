-- After a MERGE has inserted a row into a partition, the server shows that row to triggers in place of every row that the MERGE
-- updates (15 to 18), unless partitions have a BEFORE INSERT trigger for rows. So the root of a tree gets one that never runs.
-- Partitions inherit it: its name must be one that no table attached later brings along.
create function journal.set_merge_trigger(relation regclass, kind "char", capture text) returns void
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $set_merge_trigger$
declare
    wanted constant boolean := kind = 'p' and relation = pg_partition_root(relation);
    found  constant name := (select t.tgname from pg_trigger t where t.tgrelid = relation and t.tgparentid = 0 and t.tgname like 'journal\_merge\_%' limit 1);
begin
    if wanted and found is null then
        execute format('create trigger %I before insert on %s for each row when (false) execute function journal.keep_row()',
                       'journal_merge_' || substr(capture, length('journal.capture_') + 1), journal.qualified_name(relation));
    elsif found is not null and not wanted then
        execute format('drop trigger %I on %s', found, journal.qualified_name(relation));
    end if;
end
$set_merge_trigger$;

comment on function journal.set_merge_trigger(regclass, "char", text) is 'Creates the trigger that a partitioned table needs for MERGE, as the caller.';
