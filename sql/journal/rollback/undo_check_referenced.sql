-- Foreign keys that point at the rows a rollback would remove or re-key: rows that somebody else hung below them are
-- never touched, whatever the foreign key would do. Where keys cascade on update, children follow and nothing is lost. What
-- the caller may not see cannot be looked for: where the foreign key would take hidden rows along, the rollback refuses; where it
-- would not, the database itself does.
create function journal.undo_check_referenced(relation oid) returns bigint
language plpgsql volatile
as $undo_check_referenced$
#variable_conflict use_variable
declare
    item  record;
    more  bigint;
    total bigint := 0;
begin
    for item in
        select f.conname, f.conrelid, f.conkey, f.confkey, f.confupdtype, f.confdeltype, journal.unreadable(f.conrelid) as unreadable, journal.qualified_name(f.conrelid) as child,
               (select string_agg(pg_catalog.format('t.%I %s x.%I', p.attname, journal.operator_name(k.operator), a.attname), ' and ')
                  from unnest(f.confkey, f.conkey, f.conpfeqop) as k (parent, child, operator)
                  join pg_catalog.pg_attribute p on p.attrelid = f.confrelid and p.attnum = k.parent
                  join pg_catalog.pg_attribute a on a.attrelid = f.conrelid and a.attnum = k.child) as matches
          from pg_catalog.pg_constraint f
          join pg_temp.journal_undo u on u.relation = f.confrelid
         where f.contype = 'f' and f.confrelid = relation and f.conparentid = 0
           and (u.removes or u.restored && f.confkey and f.confupdtype <> 'c')
    loop
        if item.unreadable is not null then
            execute format('update pg_temp.journal_undo_%s u set status = ''refuse'', reason = %L, constraint_name = %L, theirs = %L
                             where u.status = ''remove'' and %L or u.status = ''restore'' and u.restored && %L and %L',
                           relation, item.unreadable, item.conname, item.child || ' may refer to it',
                           item.confdeltype not in ('a', 'r'), item.confkey, item.confupdtype not in ('a', 'r', 'c'));
            get diagnostics more = row_count;
            total := total + more;
            continue;
        end if;
        execute format($check$
            update pg_temp.journal_undo_%1$s u
               set status = 'conflict', reason = 'referenced_since', constraint_name = %2$L, theirs = r.their[1], their_key = r.their[2], their_relation = %12$s
              from (select u.row_no, min(array[%3$L || ' ' || %4$s, %13$s]) as their
                      from pg_temp.journal_undo_%1$s u
                      join %5$s t on %6$s
                      join %7$s x on %8$s
                     where (u.status = 'remove' or u.status = 'restore' and u.restored && %9$L and %10$L <> 'c') and not %11$s
                     group by u.row_no) r
             where r.row_no = u.row_no$check$,
            relation, item.conname, item.child, journal.key_text(item.conrelid, 'x'),
            journal.undo_rows(relation), journal.undo_key_match(relation, 'u.a%1$s'),
            journal.undo_rows(item.conrelid), item.matches, item.confkey, item.confupdtype,
            journal.undo_leaving(item.conrelid, item.conkey), item.conrelid, journal.live_key(item.conrelid, 'x'));
        get diagnostics more = row_count;
        total := total + more;
    end loop;
    return total;
end
$undo_check_referenced$;

comment on function journal.undo_check_referenced(oid) is 'Turns away rows that others refer to; returns how many. Private.';
