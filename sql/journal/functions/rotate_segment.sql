-- Begins a new segment of the same shape, so that the one before it can be dropped whole one day. The capture functions are
-- replaced where they stand: no trigger changes, no writer waits, and one in flight ends in the old segment.
create function journal.rotate_segment(relation regclass) returns integer
language plpgsql volatile
set search_path = pg_catalog, pg_temp
set quote_all_identifiers = off
as $rotate_segment$
declare
    options journal.covered_table;
    segment journal.segment;
    before  integer;
begin
    select * into strict options from journal.covered_table c where c.relation = rotate_segment.relation for update;
    select * into strict segment from journal.segment s where s.segment_id = options.segment_id;
    before := segment.segment_id;
    update journal.segment s set until_at = clock_timestamp() where s.segment_id = before;
    segment := journal.add_segment(segment);
    update journal.covered_table c set segment_id = segment.segment_id where c.relation = rotate_segment.relation;
    update journal.capture c set segment_id = segment.segment_id where c.segment_id = before;
    perform journal.write_capture(c, segment, options) from journal.capture c where c.segment_id = segment.segment_id;
    return segment.segment_id;
end
$rotate_segment$;

comment on function journal.rotate_segment(regclass) is 'Begins a new segment of a covered table; returns its id. Private: call journal.prune.';
