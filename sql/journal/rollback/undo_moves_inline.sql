-- Whether the changed keys of a table go back in the one statement that undoes the rest, and not before it: rows of the rollback
-- refer to them, and until these are undone too, no foreign key would let them go; or with the key they come back to a place in
-- another unique index, which is free only then. Not where others follow by ON UPDATE CASCADE
-- (what followed has to be seen first), where triggers moved them, or where rows stand in each other's way. Nor where a key is left
-- by one row and taken by another: written by one statement, their images have no order that would tell the two apart.
create function journal.undo_moves_inline(relation oid) returns boolean
language plpgsql volatile
as $undo_moves_inline$
#variable_conflict use_variable
declare
    moved    constant int2[] := array(select a from pg_temp.journal_undo u, unnest(u.restored) a where u.relation = undo_moves_inline.relation and a = any (journal.undo_key_attnums(relation)));
    occupied boolean;
begin
    if moved = '{}' then
        return false;
    elsif not exists (select from journal.undo_foreign_keys(relation) f join pg_temp.journal_undo c on c.relation = f.child and c.target is not null
                       where f.parent = undo_moves_inline.relation and f.parent_attnums && moved
                      union all
                      select from journal.unique_columns(relation) i where not i.primary_key and i.attnums && moved
                      union all
                      select from journal.unique_expressions(relation) i where i.attnums && moved)
       or exists (select from journal.undo_foreign_keys(relation) f where f.parent = undo_moves_inline.relation and f.parent_attnums && moved and f.on_update = 'c')
       or exists (select from pg_temp.journal_undo_group g where g.relation = undo_moves_inline.relation and g.by_triggers and g.restored && moved) then
        return false;
    end if;
    execute format('select exists (select from pg_temp.journal_undo_%1$s u join %2$s x on %3$s where u.status = ''restore'' and u.restored && %4$L)
                        or exists (select from pg_temp.journal_undo_%1$s u join pg_temp.journal_undo_%1$s y on %5$s
                                    where u.status = ''restore'' and u.restored && %4$L and y.status = ''reinsert'')',
                   relation, journal.undo_rows(relation), journal.undo_key_match(relation, 'u.b%1$s', 'x'), moved,
                   journal.undo_list(relation, 'y.b%1$s = u.a%1$s', ' and ', 'key')) into occupied;
    if occupied then
        return false;
    end if;
    -- part of a key may be unique too, and its place left by a row that is to move itself
    execute (select format('select %s', string_agg(format('exists (select from pg_temp.journal_undo_%1$s u join %2$s x on %3$s join pg_temp.journal_undo_%1$s y on %4$s'
                                                          ' where u.status = ''restore'' and u.restored && %5$L and y.status = ''restore'' and y.restored && %5$L and y.row_no <> u.row_no)',
                                                          relation, journal.undo_rows(relation), p.same, journal.undo_key_match(relation, 'y.a%1$s', 'x'), moved), ' or '))
               from journal.undo_key_places(relation) as p (same)) into occupied;
    return not occupied;
end
$undo_moves_inline$;

comment on function journal.undo_moves_inline(oid) is 'Whether changed keys go back together with everything else. Private.';
