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
        select f.*, journal.unreadable(f.child) as unreadable, journal.qualified_name(f.child_part) as child_name,
               journal.undo_refers(f.oid) as refers
          from journal.undo_foreign_keys(relation) f
          join pg_temp.journal_undo u on u.relation = f.parent
         where f.parent = undo_check_referenced.relation and (u.removes or u.restored && f.parent_attnums and f.on_update <> 'c')
    loop
        if item.unreadable is not null then
            execute format('update pg_temp.journal_undo_%s u set status = ''refuse'', reason = %L, constraint_name = %L, theirs = %L
                             where u.status = ''remove'' and %L or u.status = ''restore'' and u.restored && %L and %L',
                           relation, item.unreadable, item.name, item.child_name || ' may refer to it',
                           item.on_delete not in ('a', 'r'), item.parent_attnums, item.on_update not in ('a', 'r', 'c'));
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
            relation, item.name, item.child_name, journal.key_text(item.child, 'x'),
            journal.undo_rows(relation), journal.undo_key_match(relation, 'u.a%1$s'),
            journal.undo_rows(item.child), item.refers, item.parent_attnums, item.on_update,
            journal.undo_leaving(item.child, item.child_attnums), item.child, journal.live_key(item.child, 'x'));
        get diagnostics more = row_count;
        total := total + more;
    end loop;
    return total;
end
$undo_check_referenced$;

comment on function journal.undo_check_referenced(oid) is 'Turns away rows that others refer to; returns how many. Private.';
