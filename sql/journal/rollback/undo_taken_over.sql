-- Deleted rows whose key another row of the same session has taken over: what lives there is not the row that was deleted,
-- even if it looks like it, nor somebody else's. It gives the key up again when it goes back to its own, or is removed.
create function journal.undo_taken_over(relation oid) returns void
language plpgsql volatile
as $undo_taken_over$
begin
    execute format($taken_over$
        update pg_temp.journal_undo_%1$s u
           set status = case when w.status in ('restore', 'remove') then 'reinsert' else 'conflict' end,
               reason = case when w.status not in ('restore', 'remove') then 'key_reused' end,
               live = w.status not in ('restore', 'remove'), traced = true, culprit = null
          from pg_temp.journal_undo_%1$s w
         where u.kind = 'D' and u.live and u.broken is null and w.kind in ('U', 'I') and w.live and w.row_no <> u.row_no and %2$s$taken_over$,
        relation, journal.undo_list(relation, 'w.a%1$s = u.b%1$s', ' and ', 'key'));
end
$undo_taken_over$;

comment on function journal.undo_taken_over(oid) is 'Rows whose key another row of the session has taken over. Private.';
