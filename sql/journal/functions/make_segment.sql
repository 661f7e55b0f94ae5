-- The definer half of cover: makes or reuses the segment for the table's present shape, brings rows that were kept whole into
-- typed form, and writes the capture functions. The caller, who owns the table, creates the triggers.
create function journal.make_segment(relation regclass, options journal.covered_table) returns table (member oid, kind "char", capture text)
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
set quote_all_identifiers = off
as $make_segment$
#variable_conflict use_column
declare
    segment journal.segment := journal.present_shape(make_segment.relation, options.excluded);
    record_id integer;
begin
    perform journal.check_owner(make_segment.relation);
    perform journal.note_gap(make_segment.relation);
    insert into journal.gap (relation, reason, from_at)
    select make_segment.relation, 'it was not covered', max(s.until_at)
      from journal.segment s
     where s.relation = make_segment.relation and not exists (select from journal.covered_table c where c.relation = make_segment.relation)
    having max(s.until_at) is not null;
    segment := journal.current_segment(segment);
    record_id := journal.record_segment(segment);
    insert into journal.covered_table (relation, segment_id, writers, undo, strict_shape, on_truncate, excluded, counters, maintained)
    values (make_segment.relation, segment.segment_id, options.writers, options.undo, options.strict_shape, options.on_truncate, options.excluded,
            options.counters, options.maintained)
    on conflict on constraint covered_table_pkey do update set
        segment_id = excluded.segment_id, writers = excluded.writers, undo = excluded.undo, strict_shape = excluded.strict_shape,
        on_truncate = excluded.on_truncate, excluded = excluded.excluded, counters = excluded.counters, maintained = excluded.maintained;
    return query select r.member, r.kind, journal.lend_capture(journal.make_capture(r.member, segment, record_id, options))
                   from journal.relations_of(make_segment.relation) r;
end
$make_segment$;

comment on function journal.make_segment(regclass, journal.covered_table) is
    'The part of cover that needs the journal''s rights; returns each relation with its capture function. Private: call journal.cover.';
