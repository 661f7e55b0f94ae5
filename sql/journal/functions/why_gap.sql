-- Why changes of a covered table may have gone unrecorded, or null.
create function journal.why_gap(covered journal.covered_table) returns text
language sql stable
begin atomic
    select case when u.attached_by is null then 'its capture triggers were disabled, dropped or changed'
                else pg_catalog.format(case when c.relispartition then 'its partition %s was attached after it was covered'
                                            else '%s was made to inherit after it was covered' end, journal.qualified_name(u.member)) end
      from journal.unwatched(covered) u
      join pg_catalog.pg_class c on c.oid = u.member
     order by u.attached_by nulls first, u.member
     limit 1;
end;

comment on function journal.why_gap(journal.covered_table) is 'Why changes of a covered table may be missing, or null.';
