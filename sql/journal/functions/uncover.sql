-- Stops journaling a table. The images stay until retention drops them: what was recorded can still be rolled back.
create function journal.uncover(relation regclass) returns void
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $uncover$
declare
    found record;
begin
    perform journal.note_gap(relation);
    for found in
        select t.tgname, t.tgrelid
          from journal.relations_of(uncover.relation) r
          join pg_trigger t on t.tgrelid = r.member
         where t.tgparentid = 0
           and (t.tgname in ('journal_insert', 'journal_update', 'journal_delete', 'journal_truncate') or t.tgname like 'journal\_merge\_%'
                or journal.is_capture(t.tgfoid))
    loop
        execute format('drop trigger %I on %s', found.tgname, journal.qualified_name(found.tgrelid));
    end loop;
    perform journal.let_capture_read(r.member, false) from journal.relations_of(uncover.relation) r;
    perform journal.forget_coverage(relation);
end
$uncover$;

comment on function journal.uncover(regclass) is 'Stops journaling a table; its images stay. Does nothing where the table is not covered.';
