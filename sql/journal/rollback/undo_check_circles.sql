-- Rows that hand a unique place on in a circle, of values at which none of them can wait meanwhile, such as true and false: no order of statements puts
-- them back (undo_make_way).
create function journal.undo_check_circles(relation oid) returns bigint
language plpgsql volatile
as $undo_check_circles$
#variable_conflict use_variable
declare
    item  record;
    level bigint[];
    more  bigint;
    total bigint := 0;
    would text;
begin
    for item in
        select i.*
          from journal.unique_expressions(relation, every => true) i
          join pg_temp.journal_undo u on u.relation = undo_check_circles.relation and u.restored && i.attnums
         where i.immediate and not i.primary_key and not exists (select from journal.undo_parked(relation, i.attnums, i.plain and i.nulls_distinct, i.empties)) and not exists (
               select from pg_temp.journal_undo_column c
                where c.relation = undo_check_circles.relation and c.attnum = any (i.attnums)
                  and (c.generated or c.problem is not null or c.image_type is null or c.key_position is not null and c.attnum = any (u.restored)))
    loop
        would := coalesce(would, journal.undo_rows_as_they_would_be(relation));
        perform journal.undo_drop('journal_undo_way'), journal.undo_catalog_first();
        execute format('create temporary table journal_undo_way on commit drop as select * from (%s) k where k.waits_for is not null',
                       journal.undo_way(relation, item.predicate, item.computed, item.same, would, item.attnums));
        perform journal.undo_as_caller(false);
        create index on pg_temp.journal_undo_way (waits_for);
        create index on pg_temp.journal_undo_way (waits);
        level := array(select k.waits_for from pg_temp.journal_undo_way k except select k.waits from pg_temp.journal_undo_way k);
        while level <> '{}' loop
            with freed as (
                delete from pg_temp.journal_undo_way k where k.waits_for = any (level) returning k.waits
            )
            select coalesce(array_agg(distinct f.waits), '{}') into level from freed f;
            level := array(select l from unnest(level) l where not exists (select from pg_temp.journal_undo_way k where k.waits = l));
        end loop;
        execute format($check$
            update pg_temp.journal_undo_%1$s u
               set status = 'conflict', reason = %2$L, constraint_name = %3$L, theirs = r.their[1], their_key = r.their[2], their_relation = %1$s
              from (select k.waits, min(array[%4$s, %5$s]) as their
                      from pg_temp.journal_undo_way k
                      join pg_temp.journal_undo_%1$s y on y.row_no = k.waits_for
                      join %6$s x on %7$s
                     group by k.waits) r
             where r.waits = u.row_no$check$,
            relation, case when item.exclusion then 'exclusion_taken' else 'unique_taken' end, item.name, journal.key_text(relation, 'x'),
            journal.live_key(relation, 'x'), journal.undo_rows(relation), journal.undo_key_match(relation, 'y.a%1$s', 'x'));
        get diagnostics more = row_count;
        total := total + more;
    end loop;
    return total;
end
$undo_check_circles$;

comment on function journal.undo_check_circles(oid) is 'Turns rows away that hand unique values on in a circle. Private.';
