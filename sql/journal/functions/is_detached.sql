-- Whether a capture serves a partition that no longer belongs to the covered table: it is a table of its own then, and nobody's
-- journaled one, so what is written there is no change of the covered table.
create function journal.is_detached(capture_id integer) returns boolean
language sql volatile
begin atomic
    select c.relation <> s.relation and coalesce(pg_catalog.pg_partition_root(c.relation), c.relation) <> s.relation
      from journal.capture c
      join journal.segment s using (segment_id)
     where c.capture_id = is_detached.capture_id;
end;

comment on function journal.is_detached(integer) is 'Whether a capture serves a partition that was detached.';
