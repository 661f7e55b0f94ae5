-- With force, what others changed is overwritten: rows that the sessions updated get their old values back, rows that they
-- inserted are removed, whoever wrote them since. It goes no further: deleted rows stay deleted, a reused key or value stays
-- whose it is, and rows of others that depend on ours are never touched; nor are rows that triggers keep (depth above 1): a total
-- that counts the work of others too has no old value that is right. Those remain conflicts, and refuse the rollback.
create function journal.undo_force(relation oid) returns void
language plpgsql volatile
as $undo_force$
begin
    if not exists (select from pg_temp.journal_undo_group g where g.relation = undo_force.relation and g.status = 'conflict') then
        return;
    end if;
    execute format($force$
        update pg_temp.journal_undo_%s
           set status = case kind when 'U' then 'restore' else 'remove' end, forced = true
         where status = 'conflict' and kind in ('U', 'I') and live and depth = 1 and reason in ('changed_since', 'changed_and_back', 'unjournaled_writer')$force$, relation);
    perform journal.undo_group(relation);
end
$undo_force$;

comment on function journal.undo_force(oid) is 'Overrules conflicts over changed values. Private.';
