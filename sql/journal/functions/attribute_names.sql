-- Columns by their present names.
create function journal.attribute_names(relation oid, attnums int2[]) returns text[]
language sql stable
begin atomic
    select case when attnums is not null then array(
        select a.attname::text
          from unnest(attnums) with ordinality as k (attnum, n)
          join pg_catalog.pg_attribute a on a.attrelid = relation and a.attnum = k.attnum and not a.attisdropped
         order by k.n) end;
end;

comment on function journal.attribute_names(oid, int2[]) is 'Present names of columns given by number.';
