-- Writes down the changes of one table that a rollback leaves as they are: those given, or with null all.
create function journal.undo_record_left(rollback_id uuid, relation oid, session_ids uuid[], step_ids uuid[], statements bigint[], keys text[]) returns void
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
as $undo_record_left$
begin
    perform journal.undo_check_bound(undo_record_left.rollback_id);
    if statements is null then
        insert into journal.left_image (rollback_id, statement_id)
        select undo_record_left.rollback_id, s.statement_id
          from journal.undo_statements(undo_record_left.session_ids, undo_record_left.step_ids, null) s where s.relation = undo_record_left.relation;
    else
        insert into journal.left_image (rollback_id, statement_id, row_key)
        select undo_record_left.rollback_id, l.statement_id, l.row_key from unnest(statements, keys) as l (statement_id, row_key);
    end if;
end
$undo_record_left$;

comment on function journal.undo_record_left(uuid, oid, uuid[], uuid[], bigint[], text[]) is 'Records changes of one table that a rollback leaves. Private.';
