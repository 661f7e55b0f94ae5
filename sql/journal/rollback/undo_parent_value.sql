-- SQL text: the value that a referenced column gets back in row y of its table's work table; null where it is not part of the key, of which alone
-- it is known without the live row.
create function journal.undo_parent_value(relation oid, attnum int2) returns text
language plpgsql stable
as $undo_parent_value$
#variable_conflict use_variable
begin
    return (
        select journal.undo_value('y.b' || c.attnum, c.as_text, c.live_type)
          from pg_temp.journal_undo_column c
         where c.relation = undo_parent_value.relation and c.attnum = undo_parent_value.attnum and c.key_position is not null and c.problem is null
    );
end
$undo_parent_value$;

comment on function journal.undo_parent_value(oid, int2) is 'SQL text: the value a referenced column gets back. Private.';
