-- Between two lock attempts: raises RollbackBusy when the time is up, with who is in the way.
create function journal.undo_busy(deadline timestamptz, relations oid[]) returns void
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $undo_busy$
declare
    blockers jsonb;
begin
    if clock_timestamp() < deadline then
        perform pg_sleep(0.01);
        return;
    end if;
    select coalesce(jsonb_agg(distinct jsonb_build_object('pid', l.pid, 'db_user', a.usename, 'application_name', a.application_name,
                                                          'transaction_started_at', a.xact_start, 'prepared', p.gid)), '[]')
      into blockers
      from pg_locks l
      left join pg_stat_activity a on a.pid = l.pid
      left join pg_locks x on l.pid is null and x.locktype = 'transactionid' and x.virtualtransaction = l.virtualtransaction and x.pid is null
      left join pg_prepared_xacts p on p.transaction = x.transactionid
     where l.locktype = 'relation' and l.relation = any (relations) and l.pid is distinct from pg_backend_pid()
       and l.mode not in ('AccessShareLock');
    raise exception using
        errcode = 'JR037', message = 'others hold what the rollback needs; nothing changed',
        hint = 'try again, or wait longer (--wait)', detail = jsonb_build_object('blockers', blockers);
end
$undo_busy$;

comment on function journal.undo_busy(timestamptz, oid[]) is 'Raises RollbackBusy once the deadline is over. Private.';
