-- Partial and expression unique indexes, and exclusion constraints like them, are checked row by row too: of rows that hand a place
-- on, such as a flag that only one may have, the one that has it goes back first, level by level. Who waits for whom (journal_undo_way) is found once for all levels.
-- Rows that come back wait for
-- nobody: they are inserted last. What waits in a circle is parked. Unique columns at which nothing can be parked are handed on like that too. Where a key is part of the place, the row stands where it belongs from here on.
create function journal.undo_make_way(relation oid) returns void
language plpgsql volatile
as $undo_make_way$
#variable_conflict use_variable
declare
    item  record;
    way   text;
    level bigint[];
    left_over bigint;
    waiting   bigint;
    would constant text := journal.undo_rows_as_they_would_be(relation, journal.undo_stands_at(relation));
    key   constant int2[] := journal.undo_key_attnums(relation);
begin
    for item in
        select i.*, s.restoring, s.moving, p.attnum as parked, p.parking
          from journal.unique_expressions(relation, every => true) i
          join pg_temp.journal_undo u on u.relation = undo_make_way.relation and u.restored && i.attnums
         cross join lateral (
               select string_agg(format('%1$s = case when %2$s operator(pg_catalog.=) any (u.restored) then %3$s else t.%1$s end', c.name, c.attnum, journal.undo_value('u.b' || c.attnum, c.as_text, c.live_type)), ', ') as restoring,
                      string_agg(format('a%1$s = case when %1$s = any (u.restored) then u.b%1$s else u.a%1$s end', c.attnum), ', ') filter (where c.attnum = any (key)) as moving,
                      bool_or(c.generated or c.problem is not null or c.image_type is null) as unknown
                 from pg_temp.journal_undo_column c
                where c.relation = undo_make_way.relation and (c.attnum = any (i.attnums) or i.attnums && key and c.attnum = any (key)) and (c.attnum = any (u.restored) or c.generated)) s
          left join lateral journal.undo_parked(relation, i.attnums, i.plain and i.nulls_distinct, i.empties) p on true
         where i.immediate and not i.primary_key and not s.unknown and not (i.plain and p.parking is not null)
    loop
        way := journal.undo_way(relation, item.predicate, item.computed, item.same, would, item.attnums);
        waiting := null;
        loop
            perform journal.undo_drop('journal_undo_way'), journal.undo_catalog_first();
            execute 'create temporary table journal_undo_way on commit drop as ' || way;
            perform journal.undo_as_caller(false);
            level := array(select k.waits_for from pg_temp.journal_undo_way k where k.waits_for is not null except select k.waits from pg_temp.journal_undo_way k);
            left_over := (select count(*) from pg_temp.journal_undo_way);
            exit when level = '{}' or left_over >= waiting;  -- a trigger that puts back what was moved gets its way
            waiting := left_over;
            create index on pg_temp.journal_undo_way (waits_for);
            create index on pg_temp.journal_undo_way (waits);
            analyze pg_temp.journal_undo_way;
            execute format('create index if not exists journal_undo_%1$s_row_no on pg_temp.journal_undo_%1$s (row_no)', relation);
            while level <> '{}' loop
                perform journal.undo_execute(format('update %s t set %s from pg_temp.journal_undo_%s u where u.row_no operator(pg_catalog.=) any (%L) and %s',
                                                    journal.undo_rows(relation), item.restoring, relation, level, journal.undo_key_match(relation, journal.undo_stands_at(relation))));
                if item.moving is not null then
                    execute format('update pg_temp.journal_undo_%s u set %s where u.row_no = any ($1) and u.restored && $2', relation, item.moving) using level, key;
                end if;
                -- those that waited for these and nobody else, as far as anybody waits for them in turn
                level := array(select k.waits from pg_temp.journal_undo_way k
                                where k.waits_for = any (level) and k.alone and exists (select from pg_temp.journal_undo_way n where n.waits_for = k.waits));
            end loop;
        end loop;
        level := array(select distinct k.waits_for from pg_temp.journal_undo_way k where k.waits_for is not null);
        if level <> '{}' and item.parking is not null then
            perform journal.undo_park_rows(relation, level, item.parked, item.parking);
        end if;
    end loop;
end
$undo_make_way$;

comment on function journal.undo_make_way(oid) is 'Lets rows that hand on a place in a partial or expression index go back in order. Private.';
