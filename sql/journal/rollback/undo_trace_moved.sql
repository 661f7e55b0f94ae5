-- Rows that a session inserted and that are not where it left them: deleted since, then nothing is to be done, or given another
-- key by somebody else, then they are still there and are somebody's later work.
create function journal.undo_trace_moved(relation oid) returns void
language plpgsql volatile
as $undo_trace_moved$
#variable_conflict use_variable
declare
    work    constant text := 'journal_undo_' || relation;
    row_key constant text := 'pg_catalog.format(''%s'', row(' || journal.undo_list(relation, 'u.a%1$s', ', ', 'key') || '))';
    keys    text[];
    since   bigint;
begin
    execute format('select array_agg(%s), min(last_statement) from pg_temp.%I u where u.kind = ''I'' and not u.live and u.status = ''noop''', row_key, work)
       into keys, since;
    execute format('update pg_temp.%1$I u set status = ''conflict'', reason = ''changed_since'', culprit = %2$s, their_statement = o.statement_id
                      from (select o.row_key, max(o.statement_id) as statement_id
                              from pg_temp.journal_undo_args a, journal.undo_others(%3$s, a.session_ids, a.step_ids, $1, $2) o
                             where not o.family and not o.whole and o.changed && %4$L group by o.row_key) o
                     where u.kind = ''I'' and not u.live and u.status = ''noop'' and %5$s = o.row_key and o.statement_id > u.last_statement',
                   work, (journal.undo_key_attnums(relation))[1], relation, journal.undo_key_attnums(relation), row_key)
    using since, keys;
end
$undo_trace_moved$;

comment on function journal.undo_trace_moved(oid) is 'Finds inserted rows to which others gave another key. Private.';
