-- Images are shown only to whoever may select the column now. Row security cannot be applied to a row that is gone, nor
-- a privilege to a table or column that is: those are the auditor's.
create function journal.visible_columns(segment journal.segment, role_name name) returns int2[]
language sql stable
begin atomic
    select coalesce(pg_catalog.array_agg(a.attnum order by a.n), '{}')
      from (select u.attnum, u.stored, u.n
              from unnest(segment.attnums, segment.image_types) with ordinality as u (attnum, stored, n)
             union all
            select g.attnum::int2, 'text', g.attnum from pg_catalog.generate_series(1, 1600) as g (attnum) where segment.kind = 'record') a
     where a.stored is not null
       and (journal.is_auditor(role_name)
            or (exists (select from pg_catalog.pg_class c where c.oid = segment.relation and not c.relrowsecurity)
                and pg_catalog.has_column_privilege(role_name, segment.relation, a.attnum, 'select')));
end;

comment on function journal.visible_columns(journal.segment, name) is 'Attnums of the stored columns whose images a role may see now; for whole rows of any column.';
