-- SQL text: the key of a live row as the images of its table spell it; null where the table has no primary key.
create function journal.live_key(relation oid, alias text) returns text
language sql stable
begin atomic
    select coalesce('pg_catalog.format(''%s'', row(' || pg_catalog.string_agg(
                        journal.undo_live(live_key.alias, pg_catalog.quote_ident(a.attname), journal.image_type(a.atttypid) like '*%',
                                          pg_catalog.format_type(a.atttypid, a.atttypmod), pg_catalog.format_type(journal.base_type(a.atttypid), -1)),
                        ', ' order by k.n) || '))', 'null::text')
      from pg_catalog.pg_index i
     cross join lateral pg_catalog.unnest(i.indkey::int2[]) with ordinality as k (attnum, n)
      join pg_catalog.pg_attribute a on a.attrelid = i.indrelid and a.attnum = k.attnum
     where i.indrelid = live_key.relation and i.indisprimary and k.n <= i.indnkeyatts;
end;

comment on function journal.live_key(oid, text) is 'SQL text: the key of a live row as images spell it. Private.';
