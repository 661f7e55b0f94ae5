-- The open segment of exactly this shape, or a new one that takes over from the one before it.
create function journal.current_segment(shape journal.segment) returns journal.segment
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $current_segment$
declare
    segment journal.segment;
begin
    select s.* into segment from journal.segment s
     where s.relation = shape.relation and s.until_at is null and s.kind = 'typed' and s.attnums = shape.attnums and s.names = shape.names
       and s.types = shape.types and s.image_types = shape.image_types and s.key = shape.key;
    if not found then
        update journal.segment s set until_at = clock_timestamp()
         where s.relation = shape.relation and s.until_at is null and s.kind = 'typed';
        segment := journal.add_segment(shape);
    end if;
    return segment;
end
$current_segment$;

comment on function journal.current_segment(journal.segment) is 'The open segment for a shape; made where there is none.';
