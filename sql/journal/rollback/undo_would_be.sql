-- SQL text: the value that a column of row u (its live row is t) would have after the rollback.
create function journal.undo_would_be(relation oid, attnum int2) returns text
language plpgsql stable
as $undo_would_be$
#variable_conflict use_variable
begin
    return (
        select case when c.carried and c.problem is null
                    then format('case when u.kind = ''U'' and %s <> all (u.restored) then t.%s else %s end', c.attnum, c.name,
                                journal.undo_value('u.b' || c.attnum, c.as_text, c.live_type))
                    else 't.' || c.name end
          from pg_temp.journal_undo_column c
         where c.relation = undo_would_be.relation and c.attnum = undo_would_be.attnum
    );
end
$undo_would_be$;

comment on function journal.undo_would_be(oid, int2) is 'SQL text: the value of a column after the rollback. Private.';
