-- One side of a segment as an array of texts, in the order of the given columns. Output functions, not casts: a cast of
-- bool prints true for t, and one of char drops its padding.
create function journal.image_texts(side text, attnums int2[]) returns text
language sql immutable
begin atomic
    select pg_catalog.format('array[%s]::text[]', pg_catalog.string_agg(
               pg_catalog.format('case when %1$s%2$s is not null then pg_catalog.format(''%%s'', %1$s%2$s) end', side, a.attnum), ', ' order by a.n))
      from unnest(attnums) with ordinality as a (attnum, n);
end;

comment on function journal.image_texts(text, int2[]) is 'SQL text of one side''s images as an array of texts; side: o before, n after.';
