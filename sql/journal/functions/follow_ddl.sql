-- For an event trigger, which only a superuser may create: covered tables follow the change of their shape in its own transaction.
-- A definer function of the journal's owner, who is no superuser. Nothing that happens here may be in the way of the user's DDL.
create function journal.follow_ddl() returns event_trigger
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
as $follow_ddl$
declare
    changed oid[];
    covered regclass;
begin
    if tg_event = 'sql_drop' then
        changed := array(select d.objid from pg_event_trigger_dropped_objects() d where d.object_type = 'table column');
    else
        changed := array(select d.objid from pg_event_trigger_ddl_commands() d where d.classid = 'pg_class'::regclass);
    end if;
    for covered in select c.relation from journal.covered_table c where c.relation = any (changed) loop
        begin
            perform journal.follow_shape(covered);
        exception
            when others then
                raise warning 'journal: % is recorded as text until it is covered again: %', covered, sqlerrm using hint = format('run: journal cover %s', covered);
        end;
    end loop;
end
$follow_ddl$;

comment on function journal.follow_ddl() is 'For event triggers on ddl_command_end and sql_drop: covered tables follow changes of their shape at once. Optional.';
