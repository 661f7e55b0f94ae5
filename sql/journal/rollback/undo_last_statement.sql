-- The last journaled statement of anybody but the rolled back sessions on one row.
create function journal.undo_last_statement(relation oid, row_key text) returns bigint
language plpgsql stable
as $undo_last_statement$
#variable_conflict use_variable
begin
    if row_key is null then
        return null;
    end if;
    return (select max(o.statement_id)
              from pg_temp.journal_undo_args a, journal.undo_others(relation, a.session_ids, a.step_ids, 0, array[row_key]) o
             where not o.family);
end
$undo_last_statement$;

comment on function journal.undo_last_statement(oid, text) is 'The last statement of others on one row. Private.';
