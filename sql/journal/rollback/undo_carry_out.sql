-- Tries the plan until it holds: with skip, rows that a trigger rewrote are left alone and the rest is tried again. Returns
-- what stopped it for good, or null.
create function journal.undo_carry_out(on_conflict text) returns jsonb
language plpgsql volatile
as $undo_carry_out$
#variable_conflict use_variable
declare
    attempt record;
    mark    record;
begin
    loop
        select * into attempt from journal.undo_attempt();
        exit when attempt.failure is not null or attempt.marks is null;
        for mark in select * from jsonb_to_recordset(attempt.marks) as m (relation oid, row_no bigint, culprit int2) loop
            execute format('update pg_temp.journal_undo_%s set status = ''conflict'', reason = ''trigger_rewrote'', culprit = $1 where row_no = $2', mark.relation)
              using mark.culprit, mark.row_no;
        end loop;
        perform journal.undo_group(m.relation) from (select distinct m.relation from jsonb_to_recordset(attempt.marks) as m (relation oid)) m;
        perform journal.undo_depend();
        exit when on_conflict = 'refuse';
    end loop;
    return attempt.failure;
end
$undo_carry_out$;

comment on function journal.undo_carry_out(text) is 'Applies a plan, leaving out what triggers would not let stand. Private.';
