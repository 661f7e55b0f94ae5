-- The values with which a row is inserted again.
create function journal.undo_values(relation oid) returns text
language plpgsql stable
as $undo_values$
#variable_conflict use_variable
begin
    return (
        select pg_catalog.string_agg(journal.undo_value('u.b' || c.attnum, c.as_text, c.live_type), ', ' order by c.attnum)
          from pg_temp.journal_undo_column c
         where c.relation = undo_values.relation and c.image_type is not null and c.problem is null
    );
end
$undo_values$;

comment on function journal.undo_values(oid) is 'SQL text of the values with which a row is inserted again. Private.';
