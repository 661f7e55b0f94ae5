-- Hands the images of sessions on one table to whoever may read that table. The columns of the result are those of
-- undo_segment_source; a column that a shape does not have counts as elided.
create function journal.undo_images(relation oid, session_ids uuid[], step_ids uuid[], attnums int2[]) returns setof record
language plpgsql stable security definer rows 1000000000
set search_path = pg_catalog, pg_temp
as $undo_images$
#variable_conflict use_variable
declare
    segments integer[];
    source   text;
    taken_back constant boolean := exists (select from journal.reversal r where r.session_id = any (session_ids));
begin
    perform journal.check_readable(relation);
    select r.segments into segments from journal.undo_relations(session_ids, step_ids) r where r.relation = undo_images.relation;
    select string_agg(journal.undo_segment_source(undo_images.relation, segments, segment_id, attnums,
               's.statement_id, s.transaction_id, s.ledger_xmin, s.same_cluster, s.depth', taken_back), ' union all ')
      into source
      from unnest(segments) as segment_id;
    return query execute 'with s as materialized (select * from journal.undo_planned($1, $2)) ' || source using session_ids, step_ids;
end
$undo_images$;

comment on function journal.undo_images(oid, uuid[], uuid[], int2[]) is 'The images of sessions on one table, for callers who may read it. Private.';
