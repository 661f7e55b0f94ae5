-- Which images are of the row with this key, on one side. Key values arrive as text and are read by the type's input
-- function, so 42 finds 42.0 in a numeric key.
create function journal.key_condition(segment journal.segment, side text, key jsonb) returns text
language sql stable
begin atomic
    select pg_catalog.string_agg(pg_catalog.format('%s%s = %L::%s', side, a.attnum, key ->> a.name::text, pg_catalog.ltrim(a.stored, '*')), ' and ')
      from unnest(segment.attnums, segment.names, segment.image_types) with ordinality as a (attnum, name, stored, n)
     where a.attnum = any (segment.key);
end;

comment on function journal.key_condition(journal.segment, text, jsonb) is 'SQL text: one side of an image is of the row with the given key; null where the key lacks a column.';
