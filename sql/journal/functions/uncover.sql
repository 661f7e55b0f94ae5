-- Stops journaling a table. The images stay until retention drops them: what was recorded can still be rolled back.
create function journal.uncover(relation regclass) returns void
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $uncover$
declare
    trigger_name name;
begin
    for trigger_name in
        select t.tgname from pg_trigger t
         where t.tgrelid = relation and t.tgname in ('journal_insert', 'journal_update', 'journal_delete', 'journal_truncate')
    loop
        execute format('drop trigger %I on %s', trigger_name, journal.qualified_name(relation));
    end loop;
    perform journal.forget_coverage(relation);
end
$uncover$;

comment on function journal.uncover(regclass) is 'Stops journaling a table; its images stay. Does nothing where the table is not covered.';
