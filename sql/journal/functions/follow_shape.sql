-- Brings the coverage of a table whose shape changed to the present without touching a trigger: a segment of the new shape, and the
-- capture functions replaced where they stand. So it needs no right on the table. What cannot be covered any more stays stale.
create function journal.follow_shape(relation regclass) returns void
language plpgsql volatile
set search_path = pg_catalog, pg_temp
set quote_all_identifiers = off
as $follow_shape$
declare
    options journal.covered_table;
    segment journal.segment;
begin
    select * into options from journal.covered_table c where c.relation = follow_shape.relation for update;
    if journal.why_stale(options) is null or journal.why_not_coverable(relation, options.undo) is not null then
        return;
    end if;
    segment := journal.current_segment(journal.present_shape(relation, options.excluded));
    update journal.covered_table c set segment_id = segment.segment_id where c.relation = follow_shape.relation;
    update journal.capture c set segment_id = segment.segment_id where c.segment_id = options.segment_id;
    perform journal.make_capture(c.relation, segment, r.record_id, options)
       from (select journal.record_segment(segment) as record_id offset 0) r, journal.capture c
      where c.segment_id = segment.segment_id and c.relation in (select m.member from journal.relations_of(follow_shape.relation) m);
end
$follow_shape$;

comment on function journal.follow_shape(regclass) is 'Makes the next segment of a covered table whose shape changed. Private.';
