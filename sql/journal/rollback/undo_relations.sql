-- The tables that sessions changed, with the counts that a plan starts from (images: of the sessions; loaded: with those of standing rollbacks), and what stands in the way of a table as a whole:
-- it is recorded only, gone, has lost images to retention, was written in a shape that cover has not seen, or its rows may no longer be told apart by the
-- key that the images have.
create function journal.undo_relations(session_ids uuid[], step_ids uuid[])
returns table (relation oid, table_name text, images bigint, standing bigint[], loaded bigint, segments integer[], first_statement bigint, only_updates boolean, obstacle text)
language sql stable security definer
set search_path = pg_catalog, pg_temp
begin atomic
    select s.relation, coalesce(journal.qualified_name(s.relation), pg_catalog.max(g.table_name)), pg_catalog.sum(s.rows) filter (where not s.standing)::bigint,
           coalesce(pg_catalog.array_agg(s.statement_id) filter (where s.standing), '{}'), pg_catalog.sum(s.rows)::bigint,
           pg_catalog.array_agg(distinct s.segment_id), pg_catalog.min(s.statement_id),
           pg_catalog.bool_and(s.operation = 'U'),
           case when exists (select from journal.covered_table c where c.relation = s.relation and not c.undo) then 'audit_only'
                when journal.qualified_name(s.relation) is null then 'table_recreated'
                when pg_catalog.bool_or(pg_catalog.to_regclass(pg_catalog.format('journal.segment_%s', g.segment_id)) is null) then 'images_pruned'
                when pg_catalog.bool_or(g.kind = 'record' or g.key = '{}') then 'coverage_gap'
                when not exists (select from pg_catalog.pg_index i
                                  where i.indrelid = s.relation and i.indisunique and i.indisvalid and i.indpred is null and i.indexprs is null
                                    and (i.indkey::int2[])[0:i.indnkeyatts - 1] <@ (select k.key from journal.segment k where k.segment_id = pg_catalog.max(s.segment_id))) then 'key_changed' end
      from journal.undo_planned(undo_relations.session_ids, undo_relations.step_ids) s
      join journal.segment g on g.segment_id = s.segment_id
     group by s.relation
     order by s.relation;
end;

comment on function journal.undo_relations(uuid[], uuid[]) is 'The tables that sessions changed. Private.';
