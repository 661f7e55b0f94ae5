-- Lays out the work tables of one rollback: temporary, so that they belong to the caller and vanish with the transaction.
-- journal_undo lists the tables, journal_undo_column their columns, journal_undo_<oid> (undo_load) their rows.
create function journal.undo_begin(session_ids uuid[], step_ids uuid[]) returns void
language plpgsql volatile
as $undo_begin$
declare
    item record;
begin
    perform journal.undo_drop('journal_undo'), journal.undo_drop('journal_undo_column'), journal.undo_drop('journal_undo_args');
    create temporary table journal_undo_args on commit drop as select undo_begin.session_ids, undo_begin.step_ids;
    create temporary table journal_undo on commit drop as
    select r.relation, r.table_name, r.images, r.segments, r.first_statement,
           journal.qualified_name(r.relation) as target,
           '{}'::int2[] as maintained
      from journal.undo_relations(session_ids, step_ids) r;
    create temporary table journal_undo_column on commit drop as
    select u.relation, c.* from pg_temp.journal_undo u, journal.undo_columns(u.relation, u.segments) c;
    for item in select u.relation, u.target from pg_temp.journal_undo u order by u.relation loop
        perform journal.undo_drop('journal_undo_' || item.relation);
        if item.target is not null then
            perform journal.undo_load(item.relation, session_ids, step_ids);
        end if;
    end loop;
end
$undo_begin$;

comment on function journal.undo_begin(uuid[], uuid[]) is 'Lays out the work tables of a rollback. Private: call journal.rollback.';
