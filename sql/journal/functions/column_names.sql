-- Columns by their names at capture.
create function journal.column_names(segment journal.segment, attnums int2[]) returns text[]
language sql immutable
begin atomic
    select coalesce(pg_catalog.array_agg(a.name::text order by a.n), '{}')
      from unnest(segment.attnums, segment.names) with ordinality as a (attnum, name, n)
     where a.attnum = any (attnums);
end;

comment on function journal.column_names(journal.segment, int2[]) is 'Names that the given columns had when the segment was made.';
