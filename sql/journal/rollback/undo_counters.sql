-- Counter columns of a table under rollback: those that many add to, undone by their difference.
create function journal.undo_counters(relation oid) returns int2[]
language plpgsql stable
as $undo_counters$
#variable_conflict use_variable
begin
    return (
        select coalesce(array_agg(c.attnum), '{}')
          from pg_temp.journal_undo_column c
         where c.relation = undo_counters.relation and c.counter and c.carried and c.problem is null and c.key_position is null and not c.as_text
    );
end
$undo_counters$;

comment on function journal.undo_counters(oid) is 'Counter columns of a table under rollback. Private.';
