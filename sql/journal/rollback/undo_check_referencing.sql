-- Foreign keys of the rows a rollback would insert again or point back: what they refer to must be there, or come back
-- in the same rollback.
create function journal.undo_check_referencing(relation oid) returns bigint
language plpgsql volatile
as $undo_check_referencing$
#variable_conflict use_variable
declare
    item  record;
    more  bigint;
    total bigint := 0;
begin
    for item in
        select f.conname, f.conkey, f.confrelid, f.confkey, journal.qualified_name(f.confrelid) as parent, c.relkind,
               u.relation is not null as under_rollback, k.*
          from pg_catalog.pg_constraint f
          join pg_catalog.pg_class c on c.oid = f.confrelid
          left join pg_temp.journal_undo u on u.relation = f.confrelid and u.target is not null
         cross join lateral (
               select string_agg(pg_catalog.format('x.%I %s %s', p.attname, journal.operator_name(k.operator),
                                                   journal.undo_value('u.b' || k.child, d.as_text, d.live_type)), ' and ') as live_match,
                      string_agg(pg_catalog.format('y.b%s operator(pg_catalog.=) u.b%s', k.parent, k.child), ' and ') as image_match,
                      string_agg(pg_catalog.format('u.b%s is not null', k.child), ' and ') as complete
                 from unnest(f.confkey, f.conkey, f.conpfeqop) as k (parent, child, operator)
                 join pg_catalog.pg_attribute p on p.attrelid = f.confrelid and p.attnum = k.parent
                 join pg_temp.journal_undo_column d on d.relation = f.conrelid and d.attnum = k.child and d.image_type is not null) k
         where f.contype = 'f' and f.conrelid = undo_check_referencing.relation and f.conparentid = 0 and k.live_match is not null
    loop
        execute format($check$
            update pg_temp.journal_undo_%1$s u
               set status = 'conflict', reason = 'deleted_since', constraint_name = %2$L, theirs = %3$L
             where (u.status = 'reinsert' or u.status = 'restore' and u.changed && %4$L) and %5$s
               and not exists (select from %6$s x where %7$s and not %8$s)
               %9$s$check$,
            relation, item.conname, item.parent || ' has no such row', item.conkey, item.complete,
            case when item.relkind = 'p' then item.parent else 'only ' || item.parent end, item.live_match,
            journal.undo_leaving(item.confrelid, item.confkey),
            case when item.under_rollback then
                format('and not exists (select from pg_temp.journal_undo_%s y where (y.status = ''reinsert'' or y.status = ''restore'' and y.changed && %L) and %s)',
                       item.confrelid, item.confkey, item.image_match) else '' end);
        get diagnostics more = row_count;
        total := total + more;
    end loop;
    return total;
end
$undo_check_referencing$;

comment on function journal.undo_check_referencing(oid) is 'Turns away rows whose referenced rows are gone; returns how many. Private.';
