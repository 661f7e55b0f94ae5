-- Where the journal may not know all that sessions did around a table: its own coverage was interrupted while they could
-- write, or a foreign key took the effects of their deletes (or key changes) on to a table that was not covered then.
-- Children that follow a changed key by ON UPDATE CASCADE follow it back, covered or not.
create function journal.undo_gaps(relation oid, session_ids uuid[], step_ids uuid[])
returns table (what text, constraint_name text, by_delete boolean, attnums int2[])
language plpgsql stable security definer
set search_path = pg_catalog, pg_temp
as $undo_gaps$
#variable_conflict use_variable
declare
    wrote_from  timestamptz;
    wrote_until timestamptz;
begin
    select min(v.opened_at), max(coalesce(v.closed_at, 'infinity')) into wrote_from, wrote_until from journal.sessions v where v.session_id = any (session_ids);
    if journal.undo_gap_since(relation, session_ids) < wrote_until
       or exists (select from journal.gap g where g.relation = undo_gaps.relation and g.from_at < wrote_until and g.until_at > wrote_from
                    and not journal.undo_is_older(session_ids, g.attached_by, g.cluster)) then
        return query select format('%s was not covered all the time', journal.qualified_name(relation)), null::text, false, null::int2[];
    end if;
    if not exists (select from pg_constraint f where f.contype = 'f' and f.confrelid in (select relation union select p.relid from pg_partition_tree(relation) p)) then
        return;
    end if;
    return query
    with deleting as (
        select max(s.executed_at) filter (where s.operation in ('D', 'T')) as deleted_at, min(s.executed_at) filter (where s.operation in ('D', 'T')) as since,
               bool_or(s.operation = 'T') as truncated, min(s.executed_at) as written_at
          from journal.undo_statements(session_ids, step_ids) x join journal.statement s using (statement_id) where x.relation = undo_gaps.relation
    )
    select format('%s is not covered', journal.qualified_name(f.child)), f.name::text, a.by_delete, f.parent_attnums
      from journal.undo_foreign_keys(relation) f
     cross join deleting d
     cross join lateral (values (true, d.since, d.since is not null and (f.on_delete in ('c', 'n', 'd') or d.truncated)),
                                (false, d.written_at, f.on_update in ('n', 'd'))) as a (by_delete, since, matters)
     where f.parent = undo_gaps.relation and a.matters
       and not exists (select from journal.covered_table c
                        where c.relation = f.child and journal.coverage_state(c.relation) ->> 'status' <> 'gap'
                          and (select min(s.from_at) from journal.segment s where s.relation = f.child) <= a.since);
end
$undo_gaps$;

comment on function journal.undo_gaps(oid, uuid[], uuid[]) is 'What the journal may not know about the work of sessions on a table. Private.';
