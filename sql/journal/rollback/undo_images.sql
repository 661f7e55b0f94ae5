-- Hands the images of sessions on one table to whoever may read that table. The columns of the result are those of
-- undo_segment_source; a column that a shape does not have counts as elided.
create function journal.undo_images(relation oid, session_ids uuid[], step_ids uuid[], segment_ids integer[], attnums int2[]) returns setof record
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
    segments := array(select g.segment_id from journal.segment g where g.relation = undo_images.relation and g.segment_id = any (segment_ids));
    select string_agg(journal.undo_segment_source(undo_images.relation, segments, segment_id, attnums,
               's.statement_id, s.transaction_id, s.ledger_xmin, s.same_cluster, s.depth', taken_back), ' union all ')
      into source
      from unnest(segments) as segment_id;
    return query execute format('with s as materialized (select * from journal.%I($1, $2)) ', case when taken_back then 'undo_planned' else 'undo_statements' end) || source using session_ids, step_ids;
end
$undo_images$;

comment on function journal.undo_images(oid, uuid[], uuid[], integer[], int2[]) is 'The images of sessions on one table, for callers who may read it. Private.';
