-- Refuses what may be more than the journal knows: all that a session did to a table whose coverage has a gap, and the rows
-- whose going reached a table that nobody journaled.
create function journal.undo_check_coverage(relation oid, session_ids uuid[], step_ids uuid[]) returns void
language plpgsql volatile
as $undo_check_coverage$
#variable_conflict use_variable
declare
    gap record;
begin
    for gap in select * from journal.undo_gaps(relation, session_ids, step_ids) loop
        execute format('update pg_temp.journal_undo_%s u set status = ''refuse'', reason = ''coverage_gap'', culprit = null, constraint_name = $1, theirs = $2
                         where case when $3 is null then true when $4 then u.kind = ''D'' or u.images > 1 else u.changed && $3 end', relation)
          using gap.constraint_name, gap.what, gap.attnums, gap.by_delete;
    end loop;
    if found then
        perform journal.undo_group(relation);
    end if;
end
$undo_check_coverage$;

comment on function journal.undo_check_coverage(oid, uuid[], uuid[]) is 'Refuses rows around which the journal has a gap. Private.';
