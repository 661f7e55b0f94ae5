-- Hands the images of sessions on one table to whoever may read that table. The columns of the result are those of
-- undo_segment_source; a column that a shape does not have counts as elided. Which statements to read is asked by itself: within the statement
-- that is put together for each table it would be planned anew for each.
create function journal.undo_images(relation oid, session_ids uuid[], step_ids uuid[], segment_ids integer[], attnums int2[]) returns setof record
language plpgsql stable security definer rows 1000000000
set search_path = pg_catalog, pg_temp
as $undo_images$
#variable_conflict use_variable
declare
    segments integer[];
    source   text;
    read     record;
    taken_back constant boolean := exists (select from journal.reversal r where r.session_id = any (session_ids));
begin
    perform journal.check_readable(relation);
    segments := array(select g.segment_id from journal.segment g where g.relation = undo_images.relation and g.segment_id = any (segment_ids));
    select string_agg(s.source, ' union all ') into source from journal.undo_segment_source(undo_images.relation, segments, attnums, taken_back) as s (source);
    if taken_back then
        select array_agg(s.statement_id) as ids, array_agg(s.transaction_id) as transaction_ids, array_agg(s.ledger_xmin) as xmins, array_agg(s.same_cluster) as same_clusters,
               array_agg(s.depth) as depths, array_agg(s.segment_id) as segments, array_agg(s.taken_by::text) as taken_by
          into read from journal.undo_planned(session_ids, step_ids) s where s.segment_id = any (segments);
    else
        select array_agg(s.statement_id) as ids, array_agg(s.transaction_id) as transaction_ids, array_agg(s.ledger_xmin) as xmins, array_agg(s.same_cluster) as same_clusters,
               array_agg(s.depth) as depths, array_agg(s.segment_id) as segments, null::text[] as taken_by
          into read from journal.undo_statements(session_ids, step_ids) s where s.segment_id = any (segments);
    end if;
    return query execute 'with s as materialized (
            select s.statement_id, s.transaction_id, s.ledger_xmin, s.same_cluster, s.depth, s.segment_id, s.taken_by::uuid[] as taken_by
              from unnest($1, $2, $3, $4, $5, $6, $7) as s (statement_id, transaction_id, ledger_xmin, same_cluster, depth, segment_id, taken_by)) ' || source
        using read.ids, read.transaction_ids, read.xmins, read.same_clusters, read.depths, read.segments, read.taken_by;
end
$undo_images$;

comment on function journal.undo_images(oid, uuid[], uuid[], integer[], int2[]) is 'The images of sessions on one table, for callers who may read it. Private.';
