-- Deferred constraints of the touched tables are checked now, by name, so that a violation is found here and not at the
-- caller's COMMIT; then they are deferred again. Those that are immediate unless the caller deferred them are checked in a
-- subtransaction that is aborted: that alone gives the caller's setting back, which cannot be read. Constraints of other tables,
-- with the caller's own pending work, are left.
create function journal.undo_settle() returns void
language plpgsql volatile
as $undo_settle$
declare
    deferred  text;  -- unless the caller set them immediate; constraint triggers may write, and what they write has to stay
    immediate text;
begin
    select string_agg(distinct format('%I.%I', n.nspname, x.conname), ', ') filter (where x.condeferred or x.contype = 't'),
           string_agg(distinct format('%I.%I', n.nspname, x.conname), ', ') filter (where not x.condeferred and x.contype <> 't')
      into deferred, immediate
      from pg_catalog.pg_constraint x
      join pg_catalog.pg_namespace n on n.oid = x.connamespace
      join pg_temp.journal_undo u on u.relation in (x.conrelid, x.confrelid, pg_catalog.pg_partition_root(x.conrelid), pg_catalog.pg_partition_root(x.confrelid))
     where x.condeferrable;
    if deferred is not null then
        perform journal.undo_execute('set constraints ' || deferred || ' immediate');
        select string_agg(distinct format('%I.%I', n.nspname, x.conname), ', ')
          into deferred
          from pg_catalog.pg_constraint x
          join pg_catalog.pg_namespace n on n.oid = x.connamespace
          join pg_temp.journal_undo u on u.relation in (x.conrelid, x.confrelid, pg_catalog.pg_partition_root(x.conrelid), pg_catalog.pg_partition_root(x.confrelid))
         where x.condeferred;
        if deferred is not null then
            execute 'set constraints ' || deferred || ' deferred';
        end if;
    end if;
    if immediate is not null then
        begin
            perform journal.undo_execute('set constraints ' || immediate || ' immediate');
            raise exception using errcode = 'JR997';
        exception when sqlstate 'JR997' then
            null;
        end;
    end if;
end
$undo_settle$;

comment on function journal.undo_settle() is 'Checks the deferred constraints of the touched tables. Private.';
