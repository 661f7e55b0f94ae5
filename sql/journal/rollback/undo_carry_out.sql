-- Tries the plan until it holds: with skip, rows that a trigger rewrote are left alone and the rest is tried again; where keys do not come free, rows of the
-- rollback that hold them let go of them first. Returns what stopped it for good, or null.
create function journal.undo_carry_out(on_conflict text) returns jsonb
language plpgsql volatile
as $undo_carry_out$
#variable_conflict use_variable
declare
    attempt record;
    mark    record;
    held    jsonb;  -- what stopped it before anything was let go of
begin
    loop
        select * into attempt from journal.undo_attempt();
        if attempt.failure ->> 'reason' = 'referenced_since' and held is null
           and exists (select from pg_temp.journal_undo u where u.target is not null and u.restored && journal.undo_key_attnums(u.relation)) then
            held := attempt.failure;
            update pg_temp.journal_undo_args set releasing = true;
            continue;
        end if;
        exit when attempt.failure is not null or attempt.marks is null;
        for mark in select * from jsonb_to_recordset(attempt.marks) as m (relation oid, row_no bigint, culprit int2) loop
            execute format('update pg_temp.journal_undo_%s set status = ''conflict'', reason = ''trigger_rewrote'', culprit = $1 where row_no = $2', mark.relation)
              using mark.culprit, mark.row_no;
        end loop;
        perform journal.undo_group(m.relation) from (select distinct m.relation from jsonb_to_recordset(attempt.marks) as m (relation oid)) m;
        perform journal.undo_depend();
        exit when on_conflict = 'refuse';
    end loop;
    return case when attempt.failure is not null then coalesce(held, attempt.failure) end;
end
$undo_carry_out$;

comment on function journal.undo_carry_out(text) is 'Applies a plan, leaving out what triggers would not let stand. Private.';
