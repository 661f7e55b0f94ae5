-- Deferred constraints of the touched tables are checked now, by name, so that a violation is found here and not at the
-- caller's COMMIT; then they are deferred again. Constraints of other tables, with the caller's own pending work, are left.
create function journal.undo_settle() returns void
language plpgsql volatile
as $undo_settle$
declare
    names text;
begin
    select string_agg(distinct format('%I.%I', n.nspname, x.conname), ', ')
      into names
      from pg_catalog.pg_constraint x
      join pg_catalog.pg_namespace n on n.oid = x.connamespace
      join pg_temp.journal_undo u on u.relation in (x.conrelid, x.confrelid)
     where x.condeferrable;
    if names is not null then
        perform journal.undo_execute('set constraints ' || names || ' immediate');
        select string_agg(distinct format('%I.%I', n.nspname, x.conname), ', ')
          into names
          from pg_catalog.pg_constraint x
          join pg_catalog.pg_namespace n on n.oid = x.connamespace
          join pg_temp.journal_undo u on u.relation in (x.conrelid, x.confrelid)
         where x.condeferred;
        if names is not null then
            execute 'set constraints ' || names || ' deferred';
        end if;
    end if;
end
$undo_settle$;

comment on function journal.undo_settle() is 'Checks the deferred constraints of the touched tables. Private.';
