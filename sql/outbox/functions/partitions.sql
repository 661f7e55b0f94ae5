-- The partitions of outbox.message with their bounds, as the catalog has them.
create function outbox.partitions() returns table (leaf regclass, from_id bigint, to_id bigint)
language sql stable
set search_path = pg_catalog, pg_temp
as $partitions$
    select c.oid::regclass, substring(b.bound from 'FROM \(''(\d+)''')::bigint, substring(b.bound from 'TO \(''(\d+)''')::bigint
    from pg_inherits as i
    join pg_class as c on c.oid = i.inhrelid
    cross join lateral (select pg_get_expr(c.relpartbound, c.oid) as bound) as b
    where i.inhparent = 'outbox.message'::regclass
$partitions$;

comment on function outbox.partitions() is 'Partitions of outbox.message: from_id is null for the first, both bounds for the one that takes what no other does.';
