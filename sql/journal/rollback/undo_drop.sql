-- Drops a work table that an earlier rollback of the same transaction left.
create function journal.undo_drop(name text) returns void
language plpgsql volatile
as $undo_drop$
begin
    if to_regclass('pg_temp.' || quote_ident(name)) is not null then
        execute format('drop table pg_temp.%I', name);
    end if;
end
$undo_drop$;

comment on function journal.undo_drop(text) is 'Drops a work table of an earlier rollback. Private.';
