-- The columns that sessions' updates changed in a table: a cheap first pass, so that the rest carries no others along.
create function journal.undo_changed_columns(relation oid, session_ids uuid[], step_ids uuid[]) returns int2[]
language plpgsql stable security definer
set search_path = pg_catalog, pg_temp
as $undo_changed_columns$
#variable_conflict use_variable
declare
    segment record;
    part    int2[];
    changed int2[] := '{}';
begin
    for segment in
        select g.segment_id,
               (select string_agg(format('case when bool_or(%s) then %s end', journal.differs('o' || a.attnum, 'n' || a.attnum, a.stored), a.attnum), ', ')
                  from unnest(g.attnums, g.image_types) as a (attnum, stored) where a.stored is not null) as tests,
               array_agg(s.statement_id) as statements
          from journal.undo_statements(session_ids, step_ids) s
          join journal.segment g on g.segment_id = s.segment_id
         where s.relation = undo_changed_columns.relation and s.operation = 'U'
         group by g.segment_id
    loop
        execute format('select array_remove(array[%s]::int2[], null) from journal.segment_%s where statement_id = any ($1)', segment.tests, segment.segment_id)
           into part using segment.statements;
        changed := changed || part;
    end loop;
    return array(select distinct c from unnest(changed) c order by c);
end
$undo_changed_columns$;

comment on function journal.undo_changed_columns(oid, uuid[], uuid[]) is 'Columns that sessions'' updates changed. Private.';
