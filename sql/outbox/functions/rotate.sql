-- Makes the next partition before it is needed. Attached, not created in place: that takes no lock that a publisher waits for. Where
-- nobody rotated in time the default partition has taken messages, and the next one begins a little later.
create function outbox.rotate(size bigint default outbox.partition_size()) returns regclass
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
as $rotate$
declare
    reached constant bigint := (select i.last_value from outbox.message_id as i);
    ends constant bigint := (select max(p.to_id) from outbox.partitions() as p);
    starts bigint := greatest(ends, 1);
    name text;
begin
    if reached + size / 2 < ends then
        return null;
    elsif reached >= ends or exists (select from outbox.message_default as d where d.id >= ends) then
        starts := reached + size / 10 + 1;
    end if;
    name := format('message_%s', starts);
    perform set_config('lock_timeout', '100ms', true);
    begin
        execute format('create table outbox.%I (like outbox.message including defaults including constraints)', name);
        execute format('comment on table outbox.%I is %L', name, 'Partition of outbox.message. Private.');
        execute format('revoke all on outbox.%I from public', name);
        execute format('alter table outbox.message attach partition outbox.%I for values from (%s) to (%s)', name, starts, starts + size);
    exception when lock_not_available or check_violation or duplicate_table then
        return null;   -- somebody reads or publishes just there: the next call is soon enough
    end;
    return format('outbox.%I', name)::regclass;
end
$rotate$;

comment on function outbox.rotate(bigint) is 'Makes the next partition of outbox.message when the last one is half full; its name, or null.';
