-- SQL text that prints the primary key of a live row, for people: (order_id=42, line=7). A table without one says ctid.
create function journal.key_text(relation oid, alias text) returns text
language sql stable
begin atomic
    select coalesce('pg_catalog.concat(''('', ' || pg_catalog.string_agg(
                        pg_catalog.format('%L, %s.%I', case when k.n = 1 then '' else ', ' end || a.attname || '=', key_text.alias, a.attname), ', ' order by k.n)
                    || ', '')'')', pg_catalog.format('%s.ctid::text', key_text.alias))
      from pg_catalog.pg_index i
     cross join lateral pg_catalog.unnest(i.indkey::int2[]) with ordinality as k (attnum, n)
      join pg_catalog.pg_attribute a on a.attrelid = i.indrelid and a.attnum = k.attnum
     where i.indrelid = key_text.relation and i.indisprimary;
end;

comment on function journal.key_text(oid, text) is 'SQL text that prints the primary key of a row. Private.';
