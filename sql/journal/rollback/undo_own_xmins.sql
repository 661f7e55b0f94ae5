-- The xmins of the ledger rows of what sessions did to a table: those of the rows that they wrote there.
create function journal.undo_own_xmins(relation oid, session_ids uuid[], step_ids uuid[]) returns xid[]
language sql stable security definer
set search_path = pg_catalog, pg_temp
begin atomic
    select array(select distinct s.ledger_xmin
                   from journal.undo_statements(session_ids, step_ids) s
                  where s.relation = undo_own_xmins.relation);
end;

comment on function journal.undo_own_xmins(oid, uuid[], uuid[]) is 'The xmins of rows that sessions wrote. Private.';
