-- SQL text: the columns in which the two images of i differ. Only columns that some update changed are looked at.
create function journal.undo_changed(relation oid) returns text
language plpgsql stable
as $undo_changed$
begin
    return (
        select case count(*)
               when 0 then '''{}''::int2[]'
               when 1 then format('case when %s then ''{%s}''::int2[] else ''{}'' end', min(d.differs), min(d.attnum))
               else format('array_remove(array[%s], null)', string_agg(format('case when %s then %s::int2 end', d.differs, d.attnum), ', ' order by d.attnum)) end
          from (select c.attnum, journal.differs('i.o' || c.attnum, 'i.n' || c.attnum, c.image_type) as differs
                  from pg_temp.journal_undo_column c
                  join pg_temp.journal_undo u using (relation)
                 where c.relation = undo_changed.relation and c.carried and c.attnum = any (u.changed)) d
    );
end
$undo_changed$;

comment on function journal.undo_changed(oid) is 'SQL text: the columns in which two images differ. Private.';
