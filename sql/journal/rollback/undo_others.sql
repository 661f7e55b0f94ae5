-- What anybody else journaled on the given rows since a statement, and until another; deleting: only rows that they deleted; moving: only
-- rows to which they gave another key. moved_to: the key under which they left the row instead. Rollbacks of the sessions, and their reversals, are family: what one took back the other put back, so they are nobody's
-- later work; nor is the rollback that is being carried out, rollback_id. So are other sessions that were taken back entirely, with the rollbacks that did it. Of what
-- triggers did to a row in one transaction, what they left counts: a total that they lower and raise again is not changed.
create function journal.undo_others(relation oid, session_ids uuid[], step_ids uuid[], since bigint, keys text[], until bigint default null, deleting boolean default false, moving boolean default false, rollback_id uuid default null)
returns table (row_key text, statement_id bigint, family boolean, ledger_xmins xid[], whole boolean, changed int2[], moved_to text[])
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
               string_agg(format('format(''%%s'', i.n%s)', k), ', ' order by n) as new_texts,
               c.*
          from journal.segment g
         cross join lateral unnest(g.key) with ordinality as k (k, n)
         cross join lateral (
               select string_agg(format('case when record_image_ne(row(i.o%1$s), row(i.n%1$s)) then %1$s end', a.attnum), ', ') as changed,
                      string_agg(format('case when array_agg(case when i.o%1$s is distinct from null then format(''%%s'', i.o%1$s) end order by case when i.o%1$s is distinct from null then format(''%%s'', i.o%1$s) end)'
                                        ' is distinct from array_agg(case when i.n%1$s is distinct from null then format(''%%s'', i.n%1$s) end order by case when i.n%1$s is distinct from null then format(''%%s'', i.n%1$s) end) then %1$s end', a.attnum), ', ') as left_changed
                 from unnest(g.attnums, g.image_types) as a (attnum, stored) where a.stored is not null) c
         where g.relation = undo_others.relation and coalesce(g.until_at, 'infinity') >= coalesce(
               (select s.executed_at from journal.statement s where s.statement_id = since), '-infinity')
         group by g.segment_id, c.changed, c.left_changed
    loop
        return query execute format($others$
            with own as materialized (
                select x.statement_id, bool_or(x.named) as named from (
                select s.statement_id, true as named from journal.undo_statements($1, $2) s
                union all
                select s.statement_id, false from journal.undo_statements($1, $2, true) s
                union all
                select s.statement_id, false from journal.undo_statements(journal.undo_family($1) || $5, null, null) s
                union all
                select s.statement_id, false
                  from journal.undo_cancelled($3) c
                 cross join lateral journal.undo_statements(array[c.session_id], case when c.step_id is not null then array[c.step_id] end, null) s
                ) x group by x.statement_id
            ), image as (
                select i.*, format('%%s', row(%1$s)) as old_key, format('%%s', row(%2$s)) as new_key, num_nonnulls(%1$s) = 0 as no_old, num_nonnulls(%2$s) = 0 as no_new
                  from journal.segment_%5$s i
                 where i.statement_id > $3%8$s and (format('%%s', row(%1$s)) = any ($4) or format('%%s', row(%2$s)) = any ($4))%6$s
            ), visit as (
                select i.*, k.row_key, case when not i.no_new and k.row_key = i.old_key and i.old_key <> i.new_key then array[%7$s] end as moved_to, o.statement_id is not null as family, s.transaction_id, s.xmin as ledger_xmin,
                       case when s.depth > 1 then count(*) over (partition by k.row_key, s.transaction_id, s.depth > 1, o.statement_id is not null) else 1 end as times
                  from image i
                  join journal.statement s using (statement_id)
                 cross join lateral (select i.old_key where not i.no_old union select i.new_key where not i.no_new) as k (row_key)
                  left join own o using (statement_id)
                 where o.named is not true
            )
            select i.row_key, i.statement_id, i.family, array[i.ledger_xmin], i.no_old or i.no_new, array_remove(array[%3$s]::int2[], null), i.moved_to
              from visit i
             where i.times = 1
            union all
            select i.row_key, max(i.statement_id), i.family, array_agg(i.ledger_xmin), count(*) filter (where i.no_old) <> count(*) filter (where i.no_new), array_remove(array[%4$s]::int2[], null), null::text[]
              from visit i
             where i.times > 1
             group by i.row_key, i.transaction_id, i.family$others$,
            segment.old_key, segment.new_key, segment.changed, segment.left_changed, segment.segment_id,
            case when until is not null then format(' and i.statement_id < %s', until) else '' end
            || case when deleting then format(' and i.statement_id in (select d.statement_id from journal.statement d where d.segment_id = %s and d.operation in (''D'', ''T'') and d.statement_id > $3)', segment.segment_id) else '' end,
            segment.new_texts,
            case when moving then format(' and row(%1$s) is distinct from row(%2$s) and num_nonnulls(%1$s) > 0 and num_nonnulls(%2$s) > 0', segment.old_key, segment.new_key) else '' end)
        using session_ids, step_ids, since, keys, rollback_id;
    end loop;
end
$undo_others$;

comment on function journal.undo_others(oid, uuid[], uuid[], bigint, text[], bigint, boolean, boolean, uuid) is 'What others journaled on rows since a statement. Private.';
