-- Remembers how the columns of a relation stand for those of the covered table, and writes its capture function.
create function journal.make_capture(member oid, segment journal.segment, record_id integer, options journal.covered_table) returns text
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $make_capture$
declare
    capture journal.capture;
begin
    insert into journal.capture as c (segment_id, record_id, relation, attnums, places)
    select segment.segment_id, make_capture.record_id, member, array_agg(a.attnum order by a.attnum), array_agg(s.attnum order by a.attnum)
      from pg_attribute a
      join unnest(segment.attnums, segment.names) as s (attnum, name) on s.name = a.attname
     where a.attrelid = member and a.attnum > 0 and not a.attisdropped
    on conflict on constraint capture_segment_id_relation_key do update
       set record_id = excluded.record_id, attnums = excluded.attnums, places = excluded.places
    returning c.* into capture;
    return journal.write_capture(capture, segment, options);
end
$make_capture$;

comment on function journal.make_capture(oid, journal.segment, integer, journal.covered_table) is 'Makes the capture of one relation; returns the name of its function.';
