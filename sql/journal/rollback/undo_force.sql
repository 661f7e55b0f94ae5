-- With force, what others changed is overwritten: rows that the sessions updated get their old values back, rows that they
-- inserted are removed, whoever wrote them since. It goes no further: deleted rows stay deleted, a reused key or value stays
-- whose it is, and rows of others that depend on ours are never touched; nor are rows that triggers keep (depth above 1): a total
-- that counts the work of others too has no old value that is right; nor is one that the session met twice, not knowing it again,
-- because others had moved it to another key and back. Those remain conflicts, and refuse the rollback. Where a
-- column was dropped since, the rest of the row is undone. The report lists one value that is lost of each row, so a row that
-- would lose more than one with its columns is left to refuse.
create function journal.undo_force(relation oid) returns void
language plpgsql volatile
as $undo_force$
#variable_conflict use_variable
declare
    dropped constant int2[] := array(select c.attnum from pg_temp.journal_undo_column c where c.relation = undo_force.relation and c.carried and c.problem = 'column_dropped');
    losses  constant text := coalesce((select string_agg(format('case when %1$s = any (changed) or kind = ''D'' and b%1$s is not null then 1 else 0 end', d), ' + ') from unnest(dropped) d), '0');
begin
    if not exists (select from pg_temp.journal_undo_group g where g.relation = undo_force.relation and g.status in ('conflict', 'refuse')) then
        return;
    end if;
    execute format($force$
        update pg_temp.journal_undo_%1$s u
           set status = case kind when 'U' then 'restore' when 'I' then 'remove' else 'reinsert' end, forced = true,
               restored = array(select c from unnest(restored) c where c <> all (%2$L::int2[]))
         where status = 'conflict' and kind in ('U', 'I') and live and depth = 1 and reason in ('changed_since', 'changed_and_back', 'unjournaled_writer') and %3$s = 0
               and not (kind = 'U' and exists (select from pg_temp.journal_undo_%1$s y where y.row_no <> u.row_no and y.kind = 'U' and y.live and %4$s))
            or status = 'refuse' and reason = 'column_dropped' and %3$s = 1$force$, relation, dropped, losses,
        journal.undo_list(relation, 'y.a%1$s = u.a%1$s', ' and ', 'key'));
    perform journal.undo_group(relation);
end
$undo_force$;

comment on function journal.undo_force(oid) is 'Overrules conflicts over changed values and dropped columns. Private.';
