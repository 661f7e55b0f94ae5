-- What a rollback does not take back and nobody has to do anything about, or only has to refresh: sequences that numbered rows
-- which it removes, and materialized views that read its tables, through views too.
create function journal.undo_notes() returns jsonb
language plpgsql volatile
as $undo_notes$
begin
    return (
        with recursive touched as (
            select distinct g.relation, g.status from pg_temp.journal_undo_group g where g.status in ('remove', 'restore', 'reinsert')
        ), reader as (
            select distinct r.ev_class as relation
              from touched t
              join pg_catalog.pg_depend d on d.refclassid = 'pg_catalog.pg_class'::regclass and d.refobjid = t.relation and d.classid = 'pg_catalog.pg_rewrite'::regclass
              join pg_catalog.pg_rewrite r on r.oid = d.objid
            union
            select r.ev_class
              from reader v
              join pg_catalog.pg_depend d on d.refclassid = 'pg_catalog.pg_class'::regclass and d.refobjid = v.relation and d.classid = 'pg_catalog.pg_rewrite'::regclass
              join pg_catalog.pg_rewrite r on r.oid = d.objid
        ), sequence as (
            select s.oid
              from touched t
              join pg_catalog.pg_attrdef a on a.adrelid = t.relation
              join pg_catalog.pg_depend d on d.classid = 'pg_catalog.pg_attrdef'::regclass and d.objid = a.oid and d.refclassid = 'pg_catalog.pg_class'::regclass
              join pg_catalog.pg_class s on s.oid = d.refobjid and s.relkind = 'S'
             where t.status = 'remove'
            union
            select s.oid
              from touched t
              join pg_catalog.pg_depend d on d.classid = 'pg_catalog.pg_class'::regclass and d.refclassid = 'pg_catalog.pg_class'::regclass and d.refobjid = t.relation and d.deptype = 'i'
              join pg_catalog.pg_class s on s.oid = d.objid and s.relkind = 'S'
             where t.status = 'remove'
        ), note as (
            select 'sequence' as kind, journal.qualified_name(s.oid) as name, 'numbers that were drawn stay drawn' as reason from sequence s
            union all
            select 'materialized_view', journal.qualified_name(c.oid), 'refresh it if it was refreshed since the session'
              from reader v join pg_catalog.pg_class c on c.oid = v.relation and c.relkind = 'm'
        )
        select coalesce(jsonb_agg(jsonb_build_object('kind', n.kind, 'name', n.name, 'reason', n.reason) order by n.kind, n.name), '[]') from note n);
end
$undo_notes$;

comment on function journal.undo_notes() is 'Sequences and materialized views that a rollback leaves as they are. Private.';
