-- As image_query, for whole rows: each brings its own columns and names. $1 is not used, $2 names the key, $3 may be seen.
create function journal.record_query(segment journal.segment, condition text) returns text
language sql stable
begin atomic
    select pg_catalog.format($query$
        select i.statement_id,
               (select jsonb_object_agg(c.name, c.v) from unnest(i.names, coalesce(i.n, i.o), i.attnums) as c (name, v, attnum)
                 where c.name = any ($2) and c.attnum = any ($3)),
               (select coalesce(jsonb_object_agg(c.name, c.v), '{}') from unnest(i.names, i.o, i.attnums) as c (name, v, attnum)
                 where i.o is not null and c.attnum = any ($3) having i.o is not null),
               (select coalesce(jsonb_object_agg(c.name, c.v), '{}') from unnest(i.names, i.n, i.attnums) as c (name, v, attnum)
                 where i.n is not null and c.attnum = any ($3) having i.n is not null),
               (select array_agg(c.name) from unnest(i.names, i.o, i.n, i.attnums) as c (name, o, n, attnum)
                 where c.attnum = any ($3) and c.o is distinct from c.n having i.o is not null and i.n is not null),
               null::text[]
          from journal.segment_%s i
         where $1 is not null and %s$query$, segment.segment_id, condition);
end;

comment on function journal.record_query(journal.segment, text) is 'SQL text that reads a segment of whole rows; see journal.image_query.';
