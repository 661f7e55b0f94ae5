-- Creates the capture triggers of one relation, as the caller, who must own it. One that is there already and calls the same
-- function is left alone, so that its xmin keeps telling whether it was ever disabled. A partitioned table needs none for
-- TRUNCATE: those of its partitions fire too. Others that call a capture function would record what never was: they go.
create function journal.set_triggers(relation regclass, kind "char", capture text) returns void
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $set_triggers$
declare
    foreigner name;
    wanted    record;
begin
    for foreigner in
        select t.tgname from pg_trigger t
         where t.tgrelid = relation and t.tgparentid = 0 and journal.is_capture(t.tgfoid)
           and t.tgname not in ('journal_insert', 'journal_update', 'journal_delete', 'journal_truncate')
    loop
        execute format('drop trigger %I on %s', foreigner, journal.qualified_name(relation));
    end loop;
    for wanted in
        select * from (values
            ('journal_insert', 'after insert', 'referencing new table as new_rows'),
            ('journal_update', 'after update', 'referencing old table as old_rows new table as new_rows'),
            ('journal_delete', 'after delete', 'referencing old table as old_rows'),
            ('journal_truncate', 'before truncate', '')) as w (name, event, tables)
         where not (kind = 'p' and w.name = 'journal_truncate')
    loop
        continue when exists (select from pg_trigger t where t.tgrelid = relation and t.tgname = wanted.name
                                 and t.tgfoid = to_regproc(capture) and t.tgenabled = 'O');
        if exists (select from pg_trigger t where t.tgrelid = relation and t.tgname = wanted.name) then
            execute format('drop trigger %I on %s', wanted.name, journal.qualified_name(relation));
        end if;
        execute format('create trigger %I %s on %s %s for each statement execute function %s()',
                       wanted.name, wanted.event, journal.qualified_name(relation), wanted.tables, capture);
    end loop;
    perform journal.set_merge_trigger(relation, kind, capture);
end
$set_triggers$;

comment on function journal.set_triggers(regclass, "char", text) is 'Creates the capture triggers of a relation, as the caller.';
