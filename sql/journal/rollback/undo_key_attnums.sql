-- The key columns of a table under rollback.
create function journal.undo_key_attnums(relation oid) returns int2[]
language plpgsql stable
as $undo_key_attnums$
#variable_conflict use_variable
begin
    return (
        select pg_catalog.array_agg(c.attnum order by c.key_position)
          from pg_temp.journal_undo_column c
         where c.relation = undo_key_attnums.relation and c.key_position is not null
    );
end
$undo_key_attnums$;

comment on function journal.undo_key_attnums(oid) is 'Attnums of the key of a table under rollback. Private.';
