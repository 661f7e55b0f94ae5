-- Lays out the work tables of one rollback: temporary, so that they belong to the caller and vanish with the transaction.
-- journal_undo lists the tables, journal_undo_column their columns, journal_undo_<oid> (undo_load) their rows.
create function journal.undo_begin(session_ids uuid[], step_ids uuid[]) returns void
language plpgsql volatile
as $undo_begin$
declare
    item   record;
    probed int2[];
begin
    perform journal.undo_drop('journal_undo'), journal.undo_drop('journal_undo_column'), journal.undo_drop('journal_undo_args'),
            journal.undo_drop('journal_undo_group');
    create temporary table journal_undo_args on commit drop as select undo_begin.session_ids, undo_begin.step_ids, journal.undo_is_part(undo_begin.session_ids, undo_begin.step_ids) as partial, null::uuid as rollback_id, false as thorough, false as skipping, false as releasing;
    create temporary table journal_undo on commit drop as
    select r.relation, r.table_name, r.images, r.standing, r.loaded, r.segments, r.first_statement, r.only_updates and not exists (select from pg_catalog.pg_partitioned_table p where p.partrelid = r.relation) as only_updates,
           case when r.obstacle is null then journal.qualified_name(r.relation) end as target, r.obstacle,
           case when r.obstacle is not null then '{}' else journal.undo_changed_columns(r.relation, session_ids, step_ids) end as changed,
           '{}'::int2[] as maintained, '{}'::int2[] as restored, false as moves, false as removes, false as reinserts, false as inline
      from journal.undo_relations(session_ids, step_ids) r;
    create temporary table journal_undo_column on commit drop as
    select u.relation, c.*, c.image_type is not null and (not u.only_updates or c.key_position is not null or c.attnum = any (u.changed)) as carried
      from pg_temp.journal_undo u, journal.undo_columns(u.relation, u.segments) c
     where u.target is not null;
    create index on pg_temp.journal_undo_column (relation);  -- asked for each table, many times over
    create temporary table journal_undo_group (
        relation oid, status text, kind text, by_triggers boolean, forced boolean, untraced boolean, changed int2[], restored int2[], rows bigint, changes bigint
    ) on commit drop;
    for item in select u.relation from pg_temp.journal_undo u where u.target is not null order by u.relation loop
        perform journal.undo_drop('journal_undo_' || item.relation), journal.undo_drop('journal_fold_' || item.relation),
                journal.undo_drop('journal_image_' || item.relation), journal.undo_drop('journal_between_' || item.relation);
        perform journal.check_readable(item.relation);
        probed := journal.undo_probe(item.relation);
        if probed <> '{}' then
            update pg_temp.journal_undo u set maintained = probed where u.relation = item.relation;
        end if;
        perform journal.undo_load(item.relation);
    end loop;
end
$undo_begin$;

comment on function journal.undo_begin(uuid[], uuid[]) is 'Lays out and fills the work tables of a rollback. Private.';
