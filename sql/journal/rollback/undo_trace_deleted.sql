-- Rows that a session deleted and that are to come back: where others have deleted a row of that key since, after somebody
-- had brought it back, it was decided anew that there is none.
create function journal.undo_trace_deleted(relation oid) returns void
language plpgsql volatile
as $undo_trace_deleted$
#variable_conflict use_variable
declare
    work    constant text := 'journal_undo_' || relation;
    row_key constant text := 'pg_catalog.format(''%s'', row(' || journal.undo_list(relation, 'u.b%1$s', ', ', 'key') || '))';
    keys    text[];
    since   bigint;
begin
    execute format('select min(last_statement) from pg_temp.%I u where u.kind = ''D'' and u.status = ''reinsert''', work) into since;
    if since is null or not (select journal.undo_deleted_since(relation, a.session_ids, a.step_ids, since) from pg_temp.journal_undo_args a) then
        return;
    end if;
    execute format('select array_agg(%s) from pg_temp.%I u where u.kind = ''D'' and u.status = ''reinsert''', row_key, work) into keys;
    execute format('update pg_temp.%1$I u set status = ''conflict'', reason = ''deleted_since'', their_statement = o.statement_id
                      from (select o.row_key, max(o.statement_id) as statement_id
                              from pg_temp.journal_undo_args a, journal.undo_others(%2$s, a.session_ids, a.step_ids, $1, $2, deleting => true) o
                             where not o.family group by o.row_key) o
                     where u.kind = ''D'' and u.status = ''reinsert'' and %3$s = o.row_key and o.statement_id > u.last_statement',
                   work, relation, row_key)
    using since, keys;
end
$undo_trace_deleted$;

comment on function journal.undo_trace_deleted(oid) is 'Finds deleted rows that others brought back and deleted again. Private.';
