-- A rollback's report without the values of its rows: for whoever did not roll back, and for messages, which end in logs.
create function journal.without_values(report jsonb) returns jsonb
language sql immutable
begin atomic
    select report || pg_catalog.jsonb_build_object('conflicts', (
        select coalesce(pg_catalog.jsonb_agg(c.conflict || '{"key": null, "base": null, "ours": null, "theirs": null}'::jsonb || pg_catalog.jsonb_build_object('also',
                   (select coalesce(pg_catalog.jsonb_agg(a.listed || '{"base": null, "ours": null, "theirs": null}'::jsonb order by a.n), '[]')
                      from pg_catalog.jsonb_array_elements(c.conflict -> 'also') with ordinality as a (listed, n))) order by c.n), '[]')
          from pg_catalog.jsonb_array_elements(report -> 'conflicts') with ordinality as c (conflict, n)));
end;

comment on function journal.without_values(jsonb) is 'A report in whose conflicts key, base, ours and theirs are null. Private.';
