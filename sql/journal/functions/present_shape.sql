-- The shape that a table has now, as a segment that does not exist yet (segment_id is null).
create function journal.present_shape(relation regclass, excluded int2[] default '{}') returns journal.segment
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $present_shape$
declare
    segment journal.segment;
begin
    segment.relation := relation;
    segment.table_name := journal.qualified_name(relation);
    segment.kind := 'typed';
    select array_agg(a.attnum order by a.attnum), array_agg(a.attname order by a.attnum), array_agg(a.atttypid::regtype order by a.attnum),
           array_agg(case when a.attgenerated = '' and a.attnum <> all (excluded) then journal.image_type(a.atttypid) end order by a.attnum)
      into segment.attnums, segment.names, segment.types, segment.image_types
      from pg_attribute a
     where a.attrelid = relation and a.attnum > 0 and not a.attisdropped;
    select coalesce(array_agg(k.attnum order by k.n), '{}') into segment.key
      from pg_index i, unnest(i.indkey::int2[]) with ordinality as k (attnum, n)
     where i.indrelid = relation and i.indisprimary and k.n <= i.indnkeyatts;
    return segment;
end
$present_shape$;

comment on function journal.present_shape(regclass, int2[]) is 'The shape that a table has now.';
