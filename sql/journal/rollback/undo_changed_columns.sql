-- The columns that sessions' updates changed in a table: a cheap first pass, so that the rest carries no others along. A bulk
-- statement changes the same columns in all rows, so what the first images show is assumed, and that no other column changed is
-- looked up in one condition, which costs half of counting column by column.
create function journal.undo_changed_columns(relation oid, session_ids uuid[], step_ids uuid[]) returns int2[]
language plpgsql stable security definer
set search_path = pg_catalog, pg_temp
as $undo_changed_columns$
#variable_conflict use_variable
declare
    segment record;
    part    int2[];
    seen    bigint;
    more    boolean;
    changed int2[] := '{}';
begin
    for segment in
        select g.segment_id, array_agg(s.statement_id) as statements,
               (select string_agg(format('case when bool_or(%s) then %s end', journal.differs('o' || a.attnum, 'n' || a.attnum, a.stored), a.attnum), ', ')
                  from unnest(g.attnums, g.image_types) as a (attnum, stored) where a.stored is not null) as tests
          from journal.undo_statements(session_ids, step_ids) s
          join journal.segment g on g.segment_id = s.segment_id
         where s.relation = undo_changed_columns.relation and s.operation = 'U'
         group by g.segment_id
    loop
        execute format('select array_remove(array[%s]::int2[], null), count(*) from (select * from journal.segment_%s where statement_id = any ($1) limit 100) i', segment.tests, segment.segment_id)
           into part, seen using segment.statements;
        if seen < 100 then
            changed := changed || part;
            continue;
        end if;
        execute format('select exists (select from journal.segment_%s where statement_id = any ($1) and (%s))', segment.segment_id,
                       (select coalesce(string_agg(journal.differs('o' || a.attnum, 'n' || a.attnum, a.stored), ' or '), 'false')
                          from journal.segment g, unnest(g.attnums, g.image_types) as a (attnum, stored)
                         where g.segment_id = segment.segment_id and a.stored is not null and a.attnum <> all (part)))
           into more using segment.statements;
        if more then
            execute format('select array_remove(array[%s]::int2[], null) from journal.segment_%s where statement_id = any ($1)', segment.tests, segment.segment_id)
               into part using segment.statements;
        end if;
        changed := changed || part;
    end loop;
    return array(select distinct c from unnest(changed) c order by c);
end
$undo_changed_columns$;

comment on function journal.undo_changed_columns(oid, uuid[], uuid[]) is 'Columns that sessions'' updates changed. Private.';
