-- The whole id of a transaction of which an xmin has 32 bits: the epoch is that of the present snapshot, or the one before it.
create function journal.whole_xid(short xid) returns xid8
language sql stable
begin atomic
    select (case when x.this_epoch < x.latest then x.this_epoch else x.this_epoch - 4294967296 end)::text::xid8
      from (select s.latest, s.latest / 4294967296 * 4294967296 + short::text::bigint as this_epoch
              from (select pg_catalog.pg_snapshot_xmax(pg_catalog.pg_current_snapshot())::text::bigint as latest) s) x;
end;

comment on function journal.whole_xid(xid) is 'The whole id of the transaction that wrote a row with this xmin.';
