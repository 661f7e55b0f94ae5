-- Names only: what an error says may be shown to a model.
create function journal.differing_arguments(one jsonb, other jsonb) returns text[]
language sql immutable
begin atomic
    select coalesce(array_agg(name order by name), '{}')
      from (
           select coalesce(a.key, b.key) as name
             from pg_catalog.jsonb_each(case pg_catalog.jsonb_typeof(one) when 'object' then one else '{}' end) a
             full join pg_catalog.jsonb_each(case pg_catalog.jsonb_typeof(other) when 'object' then other else '{}' end) b on a.key = b.key
            where a.value is distinct from b.value
           ) differing;
end;

comment on function journal.differing_arguments(jsonb, jsonb) is 'Names of the arguments whose values differ.';
