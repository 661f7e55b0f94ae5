-- What anybody else journaled on the given rows since a statement, and until another; deleting: only rows that they deleted. Rollbacks of the sessions, and their reversals, are
-- family: what one took back the other put back, so they are nobody's later work. So are other sessions that were taken
-- back entirely, with the rollbacks that did it.
create function journal.undo_others(relation oid, session_ids uuid[], step_ids uuid[], since bigint, keys text[], until bigint default null, deleting boolean default false)
returns table (row_key text, statement_id bigint, family boolean, ledger_xmin xid, whole boolean, changed int2[])
language plpgsql stable security definer
set search_path = pg_catalog, pg_temp
as $undo_others$
#variable_conflict use_variable
declare
    segment record;
begin
    perform journal.check_readable(relation);
    for segment in
        select g.segment_id,
               string_agg(format('i.o%s', k), ', ' order by n) as old_key, string_agg(format('i.n%s', k), ', ' order by n) as new_key,
               (select string_agg(format('case when record_image_ne(row(i.o%1$s), row(i.n%1$s)) then %1$s end', a.attnum), ', ')
                  from unnest(g.attnums, g.image_types) as a (attnum, stored) where a.stored is not null) as changed
          from journal.segment g, unnest(g.key) with ordinality as k (k, n)
         where g.relation = undo_others.relation and coalesce(g.until_at, 'infinity') >= coalesce(
               (select s.executed_at from journal.statement s where s.statement_id = since), '-infinity')
         group by g.segment_id
    loop
        return query execute format($others$
            with own as materialized (
                select x.statement_id, bool_or(x.named) as named from (
                select s.statement_id, true as named from journal.undo_statements($1, $2) s
                union all
                select s.statement_id, false from journal.undo_statements(journal.undo_family($1), null, null) s
                union all
                select s.statement_id, false
                  from journal.undo_cancelled($3) c
                 cross join lateral journal.undo_statements(array[c.session_id], case when c.step_id is not null then array[c.step_id] end, null) s
                ) x group by x.statement_id
            ), image as (
                select i.statement_id, format('%%s', row(%1$s)) as old_key, format('%%s', row(%2$s)) as new_key,
                       %3$s as no_old, %4$s as no_new, array_remove(array[%5$s]::int2[], null) as changed
                  from journal.segment_%6$s i
                 where i.statement_id > $3 and (format('%%s', row(%1$s)) = any ($4) or format('%%s', row(%2$s)) = any ($4))%7$s
            )
            select k.row_key, i.statement_id, o.statement_id is not null, s.xmin, i.no_old or i.no_new, i.changed
              from image i
              join journal.statement s using (statement_id)
             cross join lateral (select i.old_key where not i.no_old union select i.new_key where not i.no_new) as k (row_key)
              left join own o using (statement_id)
             where o.named is not true$others$,
            segment.old_key, segment.new_key, 'num_nonnulls(' || segment.old_key || ') = 0', 'num_nonnulls(' || segment.new_key || ') = 0',
            segment.changed, segment.segment_id,
            case when until is not null then format(' and i.statement_id < %s', until) else '' end
            || case when deleting then format(' and i.statement_id in (select d.statement_id from journal.statement d where d.segment_id = %s and d.operation in (''D'', ''T'') and d.statement_id > $3)', segment.segment_id) else '' end)
        using session_ids, step_ids, since, keys;
    end loop;
end
$undo_others$;

comment on function journal.undo_others(oid, uuid[], uuid[], bigint, text[], bigint, boolean) is 'What others journaled on rows since a statement. Private.';
