-- Rows that some steps of a session changed and that are as they were before, because other steps of it, or sessions that it is within or that are within it,
-- changed them back: these are not asked for. Nothing would have to be done; but whoever takes them back later, one by one or all of the session, would bring back what the first
-- had made of the row. So it is a conflict, and what is left takes part in the next rollback.
create function journal.undo_trace_siblings(relation oid) returns void
language plpgsql volatile
as $undo_trace_siblings$
#variable_conflict use_variable
declare
    work    constant text := 'journal_undo_' || relation;
    row_key constant text := 'pg_catalog.format(''%s'', row(' || journal.undo_list(relation, 'coalesce(u.a%1$s, u.b%1$s)', ', ', 'key') || '))';
    settled constant text := 'u.status = ''noop'' and (u.kind in (''I'', ''D'') or u.kind = ''U'' and u.restored <> ''{}'')';
    keys    text[];
    since   bigint;
begin
    execute format('select array_agg(%s), min(u.last_statement) from pg_temp.%I u where %s', row_key, work, settled) into keys, since;
    if keys is null then
        return;
    end if;
    execute format($siblings$
        with other as materialized (
            select o.* from pg_temp.journal_undo_args a, journal.undo_others(%1$s, a.session_ids, a.step_ids, $1, $2) o where not o.family
        ), sibling as materialized (
            select s as statement_id
              from pg_temp.journal_undo_args a
             cross join lateral journal.undo_of_one_tree(a.session_ids, array(select distinct o.statement_id from other o)) s
        )
        update pg_temp.%2$I u
           set status = 'conflict', reason = case u.kind when 'U' then 'changed_and_back' when 'I' then 'deleted_since' else 'key_reused' end,
               culprit = case when u.kind = 'U' then u.restored[1] end, their_statement = m.statement_id
          from (select u.row_no, max(o.statement_id) as statement_id
                  from pg_temp.%2$I u
                  join other o on o.row_key = %3$s and o.statement_id > u.last_statement
                  join sibling s using (statement_id)
                 where %4$s and (u.kind <> 'U' or o.whole or o.moved_to is not null or o.changed && u.restored)
                 group by u.row_no) m
         where m.row_no = u.row_no$siblings$, relation, work, row_key, settled)
    using since, keys;
end
$undo_trace_siblings$;

comment on function journal.undo_trace_siblings(oid) is 'Finds rows that the rest of a session changed back. Private.';
