-- Whether all transactions of sessions began to write before a transaction of a cluster did; false where that cannot be told.
create function journal.undo_is_older(session_ids uuid[], transaction_id xid8, cluster bigint) returns boolean
language sql stable
begin atomic
    select coalesce(undo_is_older.transaction_id > all (
        select case when b.cluster = undo_is_older.cluster then b.transaction_id end
          from journal.binding b
         where b.session_id = any (session_ids)), false);
end;

comment on function journal.undo_is_older(uuid[], xid8, bigint) is 'Whether the transactions of sessions are older than another. Private.';
