-- The column of a unique place at which rows of a rollback can be parked, and the value for it: one that the rollback restores, or else
-- another, which is put back with them. None where no column has such a value, or only one of the key.
create function journal.undo_parked(relation oid, attnums int2[], nulls_distinct boolean, empties boolean)
returns table (attnum int2, name text, parking text)
language plpgsql stable
as $undo_parked$
#variable_conflict use_column
begin
    return query
    select c.attnum, c.name, p.parking
      from pg_temp.journal_undo u
      join pg_temp.journal_undo_column c on c.relation = u.relation and c.attnum = any (undo_parked.attnums)
     cross join lateral journal.undo_parking(u.relation, c.attnum, undo_parked.nulls_distinct, undo_parked.empties) as p (parking)
     where u.relation = undo_parked.relation and p.parking is not null and c.key_position is null
       and (c.attnum = any (u.restored)
            or c.image_type is not null and c.problem is null and not c.generated and c.attnum <> all (journal.undo_maintained(u.relation))
               and has_column_privilege(u.relation, c.attnum, 'update')
               and not exists (select from journal.undo_foreign_keys(u.relation) f where f.parent = u.relation and c.attnum = any (f.parent_attnums) and f.on_update in ('n', 'd')))
     order by c.attnum <> all (u.restored), p.parking <> 'null'
     limit 1;
end
$undo_parked$;

comment on function journal.undo_parked(oid, int2[], boolean, boolean) is 'The column of a unique place at which rows can be parked. Private.';
