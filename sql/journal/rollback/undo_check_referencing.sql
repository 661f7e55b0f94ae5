-- Foreign keys of the rows a rollback would insert again or point back: what they refer to must be there, or come back
-- in the same rollback. Where the caller may not see them it is left to the database, which looks as the table's owner.
create function journal.undo_check_referencing(relation oid) returns bigint
language plpgsql volatile
as $undo_check_referencing$
#variable_conflict use_variable
declare
    item  record;
    more  bigint;
    total bigint := 0;
begin
    if not exists (select from pg_temp.journal_undo u
                     join pg_class c on c.oid = u.relation
                    where u.relation = undo_check_referencing.relation
                      and (c.relkind = 'p' or exists (select from pg_constraint f where f.conrelid = u.relation and f.contype = 'f' and (u.reinserts or u.restored && f.conkey)))) then
        return 0;
    end if;
    for item in
        select f.*, journal.qualified_name(f.parent_part) as parent_name, k.*,
               exists (select from pg_temp.journal_undo p where p.relation = f.parent and p.target is not null) as under_rollback
          from journal.undo_foreign_keys(relation) f
          join pg_temp.journal_undo u on u.relation = f.child
         cross join lateral (
               select string_agg(format('x.%I %s w.w%s', p.attname, journal.operator_name(k.operator), k.n), ' and ') as live_match,
                      string_agg(format('%s as w%s', journal.undo_would_be(relation, k.child), k.n), ', ') as would_be,
                      case when count(journal.undo_parent_value(f.parent, k.parent)) = count(*)
                           then string_agg(format('%s %s w.w%s', journal.undo_parent_value(f.parent, k.parent), journal.operator_name(k.operator), k.n), ' and ') end as image_match,
                      string_agg(format('%s %s w.w%s', journal.undo_would_be(f.parent, k.parent), journal.operator_name(k.operator), k.n), ' and ') as row_match,
                      string_agg(format('w.w%s is not null', k.n), ' and ') as complete
                 from rows from (unnest(f.parent_attnums), unnest(f.child_attnums), unnest(f.operators)) with ordinality as k (parent, child, operator, n)
                 join pg_attribute p on p.attrelid = f.parent and p.attnum = k.parent) k
         where f.child = undo_check_referencing.relation and journal.unreadable(f.parent) is null
           and (u.reinserts or u.restored && f.child_attnums) and k.would_be is not null
    loop
        execute format($check$
            update pg_temp.journal_undo_%1$s u
               set status = 'conflict', reason = 'deleted_since', constraint_name = %2$L, theirs = %3$L
              from (select u.row_no, %4$s from pg_temp.journal_undo_%1$s u left join %5$s t on %6$s
                     where (u.status = 'reinsert' or u.status = 'restore' and u.restored && %7$L) and %14$s) w
             where w.row_no = u.row_no and %8$s
               and not exists (select from %9$s x where %10$s and %13$s and not %11$s)
               %12$s$check$,
            relation, item.name, item.parent_name || ' has no such row', item.would_be, journal.undo_rows(relation),
            journal.undo_key_match(relation, 'coalesce(u.a%1$s, u.b%1$s)'), item.child_attnums, item.complete,
            journal.undo_rows(item.parent), item.live_match,
            journal.undo_leaving(item.parent, item.parent_attnums),
            case when not item.under_rollback then ''
                 when item.image_match is not null then
                     format('and not exists (select from pg_temp.journal_undo_%s y where (y.status = ''reinsert'' or y.status = ''restore'' and y.restored && %L) and %s)',
                            item.parent, item.parent_attnums, item.image_match)
                 else format('and not exists (select from pg_temp.journal_undo_%s u left join %s t on %s where (u.status = ''reinsert'' or u.status = ''restore'' and u.restored && %L) and %s)',
                             item.parent, journal.undo_rows(item.parent), journal.undo_key_match(item.parent, 'coalesce(u.a%1$s, u.b%1$s)'), item.parent_attnums, item.row_match) end,
            journal.undo_stands_in(item.parent_part, item.parent, 'x'),
            journal.undo_lands_in(item.child_part, relation, 'coalesce(u.b%1$s, u.a%1$s)'));
        get diagnostics more = row_count;
        total := total + more;
    end loop;
    return total;
end
$undo_check_referencing$;

comment on function journal.undo_check_referencing(oid) is 'Turns away rows whose referenced rows are gone; returns how many. Private.';
