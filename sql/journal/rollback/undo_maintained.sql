-- Columns that are left to the table's own triggers: found by probing or declared. Generated columns have no image.
create function journal.undo_maintained(relation oid) returns int2[]
language plpgsql stable
as $undo_maintained$
#variable_conflict use_variable
begin
    return (
        select coalesce(pg_catalog.array_agg(c.attnum), '{}')
          from pg_temp.journal_undo_column c
          join pg_temp.journal_undo u using (relation)
         where c.relation = undo_maintained.relation and (c.maintained or c.attnum = any (u.maintained))
    );
end
$undo_maintained$;

comment on function journal.undo_maintained(oid) is 'Maintained columns of a table under rollback. Private.';
