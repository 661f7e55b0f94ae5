-- Drops a partition whose messages were all sealed by a seal. The lock lets nobody publish, so it is taken when it is free and
-- never waited for; under it only what may have come since is looked at, for the row of a slow writer must not go with it.
create function outbox.drop_leaf(leaf regclass, seal bigint) returns boolean
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $drop_leaf$
begin
    for attempt in 1 .. 20 loop
        begin
            lock table only outbox.message in access exclusive mode nowait;
            execute format('lock table only %s in access exclusive mode nowait', leaf);
            if not outbox.all_sealed_by(leaf, seal) then
                return false;
            elsif leaf = 'outbox.message_default'::regclass then
                truncate outbox.message_default;
            else
                execute format('alter table outbox.message detach partition %s', leaf);
                execute format('drop table %s', leaf);
            end if;
            return true;
        exception when lock_not_available then
            perform pg_sleep(0.001 * attempt);
        end;
    end loop;
    return false;
end
$drop_leaf$;

comment on function outbox.drop_leaf(regclass, bigint) is 'Drops a partition of outbox.message if that can be done at once and all is sealed; whether it did.';
