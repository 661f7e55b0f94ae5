-- A rollback writes as its caller and escalates nothing: what the caller may not write is refused before anything is
-- touched, per status and column.
create function journal.undo_check_privileges(relation oid) returns void
language plpgsql volatile
as $undo_check_privileges$
#variable_conflict use_variable
begin
    execute format($check$
        update pg_temp.journal_undo_%1$s u set status = 'refuse', reason = 'no_privilege',
               culprit = case when u.status = 'restore' then (select c from unnest(u.changed) c where c <> all (%2$L) and not has_column_privilege(%1$s, c, 'update') limit 1) end
         where case u.status
               when 'remove' then not has_table_privilege(%1$s, 'delete')
               when 'reinsert' then exists (select from pg_temp.journal_undo_column c where c.relation = %1$s and c.image_type is not null and c.problem is null
                                              and not has_column_privilege(%1$s, c.attnum, 'insert'))
               when 'restore' then exists (select from unnest(u.changed) c where c <> all (%2$L) and not has_column_privilege(%1$s, c, 'update'))
               else false end$check$,
        relation, journal.undo_maintained(relation));
end
$undo_check_privileges$;

comment on function journal.undo_check_privileges(oid) is 'Turns rows away that the caller may not write. Private.';
