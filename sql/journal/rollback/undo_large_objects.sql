-- Large objects that values point to which a rollback takes away: who made them, and what else points to them, is not recorded.
create function journal.undo_large_objects() returns jsonb
language plpgsql volatile
as $undo_large_objects$
declare
    item  record;
    part  jsonb;
    found_all jsonb := '[]';
begin
    for item in
        select c.relation, c.attnum, u.table_name, c.name from pg_temp.journal_undo_column c join pg_temp.journal_undo u using (relation)
         where u.target is not null and c.carried and c.problem is null and c.base_type = 'oid'
    loop
        execute format($objects$
            select coalesce(jsonb_agg(distinct jsonb_build_object('kind', 'large_object', 'key', u.a%2$s::text, 'reason', %3$L)), '[]')
              from pg_temp.journal_undo_%1$s u join pg_catalog.pg_largeobject_metadata l on l.oid::text = u.a%2$s::text
             where u.status = 'remove' or u.status = 'restore' and %2$s = any (u.restored)$objects$,
            item.relation, item.attnum, format('%s.%s no longer points to it', item.table_name, item.name)) into part;
        found_all := found_all || part;
    end loop;
    return found_all;
end
$undo_large_objects$;

comment on function journal.undo_large_objects() is 'Large objects that a rollback leaves behind. Private.';
