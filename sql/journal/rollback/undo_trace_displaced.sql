-- Rows that a session wrote and to which others gave another key, where yet another row stands at the old one: that is not the
-- session's, whatever it holds. The session's counts as missing there, and is looked for where they put it. A rollback is such
-- another one, too, if it put a key back that the row had when the session wrote it.
create function journal.undo_trace_displaced(relation oid) returns void
language plpgsql volatile
as $undo_trace_displaced$
#variable_conflict use_variable
declare
    work    constant text := 'journal_undo_' || relation;
    row_key constant text := 'pg_catalog.format(''%s'', row(' || journal.undo_list(relation, 'u.a%1$s', ', ', 'key') || '))';
    written constant text := 'u.kind in (''U'', ''I'') and u.live and not u.traced and u.status in (''restore'', ''remove'', ''conflict'')';
    keys    text[];
    since   bigint;
begin
    execute format('select array_agg(%s), min(u.last_statement) from pg_temp.%I u where %s', row_key, work, written) into keys, since;
    if keys is null then
        return;
    end if;
    execute format('update pg_temp.%1$I u
                       set live = false, live_xmin = null, culprit = null, status = case when u.kind = ''U'' or u.broken is not null then ''conflict'' else ''noop'' end,
                           reason = case when u.broken is not null then u.reason when u.kind = ''U'' then ''deleted_since'' end
                      from (select o.row_key, max(o.statement_id) as statement_id, max(o.statement_id) filter (where not o.family) as by_others
                              from pg_temp.journal_undo_args a, journal.undo_others(%2$s, a.session_ids, a.step_ids, $1, $2, moving => true) o
                             where o.moved_to is not null group by o.row_key) o
                     where %3$s and %4$s = o.row_key and case when u.kind = ''U'' then o.statement_id else o.by_others end > u.last_statement',
                   work, relation, written, row_key)
    using since, keys;
end
$undo_trace_displaced$;

comment on function journal.undo_trace_displaced(oid) is 'Finds rows in whose place, after others moved them, another row stands. Private.';
