-- Every user table and how it is covered. The rules stand in journal.coverage_state.
create view journal.coverage as
select c.oid::regclass as relation,
       journal.qualified_name(c.oid) as table_name,
       state ->> 'status' as status,
       state ->> 'reason' as reason,
       state ->> 'fix' as fix,
       o.writers,
       o.undo,
       o.on_truncate as truncate,
       journal.attribute_names(o.relation, g.key) as key_columns,
       journal.attribute_names(o.relation, o.excluded) as excluded_columns,
       journal.attribute_names(o.relation, o.counters) as counter_columns,
       journal.attribute_names(o.relation, o.maintained) as maintained_columns,
       o.covered_at,
       (state ->> 'gap_since')::timestamptz as gap_since,
       (select min(s.from_at) from journal.segment s where s.relation = coalesce(pg_catalog.pg_partition_root(c.oid), c.oid)) as oldest_image_at
  from pg_catalog.pg_class c
  join pg_catalog.pg_namespace n on n.oid = c.relnamespace
  left join journal.covered_table o on o.relation = coalesce(pg_catalog.pg_partition_root(c.oid), c.oid)
  left join journal.segment g on g.segment_id = o.segment_id
 cross join lateral (select journal.coverage_state(c.oid::regclass) as state offset 0) s
 where c.relkind in ('r', 'p', 'f')
   and c.relpersistence <> 't'
   and n.nspname not in ('pg_catalog', 'information_schema', 'journal', 'outbox', 'relay')
   and n.nspname not like 'pg\_%';

comment on view journal.coverage is 'Every user table, covered or not, and what is wrong with its coverage.';
comment on column journal.coverage.relation is 'The table.';
comment on column journal.coverage.table_name is 'Its name, schema-qualified.';
comment on column journal.coverage.status is
    'covered; stale: its shape is not the one that was covered; gap: changes may have gone unrecorded; uncovered; uncoverable.';
comment on column journal.coverage.reason is 'Why the status is neither covered nor uncovered; of a covered table, what cannot be known since it was restored.';
comment on column journal.coverage.fix is 'Command that brings the table to covered; null where there is nothing to do, or nothing that can be done.';
comment on column journal.coverage.writers is 'Whose changes are recorded: all, or agents (transactions bound to a session).';
comment on column journal.coverage.undo is 'Whether its changes can be rolled back; false: recorded only.';
comment on column journal.coverage.truncate is 'What happens to TRUNCATE: capture or refuse.';
comment on column journal.coverage.key_columns is 'Columns of the primary key.';
comment on column journal.coverage.excluded_columns is 'Columns that are never recorded.';
comment on column journal.coverage.counter_columns is 'Columns that many add to: undone by their difference.';
comment on column journal.coverage.maintained_columns is 'Columns that triggers or libraries keep: left out of conflict checks.';
comment on column journal.coverage.covered_at is 'When the triggers of today were created.';
comment on column journal.coverage.gap_since is 'Since when changes may be missing at the earliest; null: no gap.';
comment on column journal.coverage.oldest_image_at is 'Where the oldest segment that still exists begins.';
