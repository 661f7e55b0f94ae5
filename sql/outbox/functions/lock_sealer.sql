-- One sealer at a time. Whoever does not want to wait lets the other one do the work.
create function outbox.lock_sealer(wait boolean) returns boolean
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $lock_sealer$
begin
    if wait then
        if current_setting('lock_timeout') = '0' then
            perform set_config('lock_timeout', '10s', true);   -- somebody may have left a sealing transaction open
        end if;
        perform from outbox.sealer for update;
    else
        perform from outbox.sealer for update skip locked;
    end if;
    return found;
end
$lock_sealer$;

comment on function outbox.lock_sealer(boolean) is 'Takes the lock of sealing until the end of the transaction.';
