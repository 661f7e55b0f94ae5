-- What others wrote on rows of one table of a rollback: kept, on those that triggers wrote, in the same columns, since a statement; else on those
-- that the sessions wrote themselves, since they did for the first time.
create function journal.undo_met(relation oid, kept boolean, since bigint) returns table (row_key text, statement_id bigint)
language plpgsql stable
as $undo_met$
#variable_conflict use_column
declare
    own_key constant text := 'pg_catalog.format(''%s'', row(' || journal.undo_list(undo_met.relation, 'coalesce(u.a%1$s, u.b%1$s)', ', ', 'key') || '))';
    written constant text := format('pg_temp.journal_undo_%s u where u.status in (''restore'', ''remove'', ''reinsert'') and u.depth %s 1',
                                    undo_met.relation, case when kept then '<>' else '<=' end);
    keys    text[];
begin
    execute format('select array_agg(%s) from %s', own_key, written) into keys;
    if keys is not null then
        return query execute format(
            'select distinct o.row_key, o.statement_id
               from pg_temp.journal_undo_args a
              cross join lateral journal.undo_others(%s, a.session_ids, a.step_ids, $1, $2) o
               join (select *, %s as row_key from %s) u using (row_key)
              where not o.family and case when $3 then o.whole or u.kind <> ''U'' or o.changed && u.changed else o.statement_id > u.first_statement end',
            undo_met.relation, own_key, written)
        using since, keys, kept;
    end if;
end
$undo_met$;

comment on function journal.undo_met(oid, boolean, bigint) is 'What others wrote on rows of a rollback. Private.';
