-- Adds counts per status, and keeps their total.
create function journal.undo_add(counts jsonb, more jsonb) returns jsonb
language sql immutable
begin atomic
    select counts || coalesce(pg_catalog.jsonb_object_agg(m.key, coalesce((counts ->> m.key)::bigint, 0) + m.value::bigint), '{}')
           || pg_catalog.jsonb_build_object('total', (counts ->> 'total')::bigint + coalesce(pg_catalog.sum(m.value::bigint), 0))
      from pg_catalog.jsonb_each_text(more) m;
end;

comment on function journal.undo_add(jsonb, jsonb) is 'Adds counts per status. Private.';
