-- The transaction that recorded a statement, by the ids of this database: after a restore elsewhere the one that loaded the ledger.
create function journal.undo_written_by(statement_id bigint) returns xid8
language sql stable security definer
set search_path = pg_catalog, pg_temp
begin atomic
    select journal.whole_xid(s.xmin) from journal.statement s where s.statement_id = undo_written_by.statement_id;
end;

comment on function journal.undo_written_by(bigint) is 'The transaction that recorded a statement. Private.';
