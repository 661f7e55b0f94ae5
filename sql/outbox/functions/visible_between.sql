-- The messages that one snapshot sees and an earlier one does not: a range of transactions and the list of those that were still
-- running. Any simpler form reads everything above the oldest open transaction. Inlined into its callers. `id + 0`: only the index on
-- xid may be used; a plan made while the table was small walks the primary key, and goes on to when it has grown.
create function outbox.visible_between(earlier pg_snapshot, later pg_snapshot, above_id bigint) returns setof outbox.message
language sql stable
as $visible_between$
    select m.* from outbox.message as m
    where m.xid >= pg_catalog.pg_snapshot_xmax(earlier) and m.xid < pg_catalog.pg_snapshot_xmax(later)
      and pg_catalog.pg_visible_in_snapshot(m.xid, later) and m.id + 0 > above_id
    union all
    select m.* from outbox.message as m
    where m.xid = any (array(
        select x.xid from pg_catalog.pg_snapshot_xip(earlier) as x(xid) where pg_catalog.pg_visible_in_snapshot(x.xid, later)))
      and m.id + 0 > above_id
$visible_between$;

comment on function outbox.visible_between(pg_snapshot, pg_snapshot, bigint) is 'Messages above a number that were committed between two snapshots.';
