-- Columns of a partition by their numbers in the table it belongs to.
create function journal.undo_attnums_in(part oid, relation oid, attnums int2[]) returns int2[]
language sql stable
begin atomic
    select case when part = relation then attnums
                else array(select a.attnum
                             from unnest(attnums) with ordinality as k (attnum, n)
                             join pg_catalog.pg_attribute p on p.attrelid = part and p.attnum = k.attnum
                             join pg_catalog.pg_attribute a on a.attrelid = relation and a.attname = p.attname
                            order by k.n) end;
end;

comment on function journal.undo_attnums_in(oid, oid, int2[]) is 'Columns of a partition by their numbers in its table. Private.';
