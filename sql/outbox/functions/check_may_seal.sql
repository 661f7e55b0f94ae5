-- A snapshot older than the predecessor would repeat a batch, and a transaction left open would stop sealing for all.
create function outbox.check_may_seal() returns void
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $check_may_seal$
begin
    if current_setting('transaction_isolation') <> 'read committed' then
        raise exception using
            errcode = 'OX000',
            message = 'outbox: seal works under READ COMMITTED only',
            hint = 'call it by itself, with autocommit on';
    elsif pg_current_xact_id_if_assigned() is not null then
        raise exception using
            errcode = 'OX000',
            message = 'outbox: this transaction has written already',
            hint = 'call seal by itself, with autocommit on';
    end if;
end
$check_may_seal$;

comment on function outbox.check_may_seal() is 'Raises unless the current transaction may seal.';
