-- Whether every message of a partition is sealed, or cancelled, by this seal or before. Reads what is above the seal's oldest open
-- transaction only.
create function outbox.all_sealed_by(leaf regclass, seal bigint) returns boolean
language plpgsql stable
set search_path = pg_catalog, pg_temp
set enable_seqscan = off
as $all_sealed_by$
declare
    s outbox.seal;
    waits boolean;
begin
    select x.* into s from outbox.seal as x where x.no = seal;
    execute format(
        'select exists (
             select from %1$s as m
             where m.xid >= pg_snapshot_xmin($1) and not pg_visible_in_snapshot(m.xid, $1) and m.id > $2
             union all
             select from %1$s as m where m.id = any ($3)
                and not exists (select from outbox.cancellation as c where c.id = m.id)
             union all
             select from %1$s as m where m.id > $4)', leaf)
    into waits using s.snap, s.from_id, s.pending, s.max_id;
    return not waits;
end
$all_sealed_by$;

comment on function outbox.all_sealed_by(regclass, bigint) is 'Whether all messages of a partition are sealed by a seal or before.';
