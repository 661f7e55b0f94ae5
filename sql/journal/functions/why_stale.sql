-- Why a covered table is not recorded in the form that it has now, or has become one that cover refuses; or null.
create function journal.why_stale(covered journal.covered_table) returns text
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $why_stale$
declare
    shape   constant journal.segment := journal.present_shape(covered.relation, covered.excluded);
    segment journal.segment;
begin
    select s.* into segment from journal.segment s where s.segment_id = covered.segment_id;
    if shape.attnums <> segment.attnums or shape.types <> segment.types or shape.key <> segment.key then
        return coalesce(journal.why_not_coverable(covered.relation, covered.undo), 'its shape changed since it was covered');
    elsif journal.has_records(covered.relation) then
        return 'rows that were written while its shape was unknown are kept whole';
    end if;
    return journal.why_not_coverable(covered.relation, covered.undo);
end
$why_stale$;

comment on function journal.why_stale(journal.covered_table) is 'Why a covered table is not recorded in its present form, or null.';
