-- The last journaled statement since one of anybody but the rolled back sessions, and the rollback itself, on each of some rows.
create function journal.undo_last_statements(relation oid, keys text[], since bigint default 0) returns table (row_key text, statement_id bigint)
language plpgsql stable
as $undo_last_statements$
#variable_conflict use_column
begin
    return query
    select o.row_key, max(o.statement_id)
      from pg_temp.journal_undo_args a
     cross join lateral journal.undo_others(undo_last_statements.relation, a.session_ids, a.step_ids, since, keys, rollback_id => a.rollback_id) o
     where not o.family
     group by o.row_key;
end
$undo_last_statements$;

comment on function journal.undo_last_statements(oid, text[], bigint) is 'The last statements of others on some rows. Private.';
