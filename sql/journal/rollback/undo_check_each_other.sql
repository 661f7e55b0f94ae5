-- Rows that would be in each other's way in a unique index: the session gave a value up, others took it for a row of theirs, and
-- the session took it away from that one, too. It is the last one's; those before it are turned away. Rows of one statement had
-- different values. Where that is not what = says, as in exclusion constraints, what meets is found by an index like theirs; of rows that meet one after the other, the last but one is turned away first.
create function journal.undo_check_each_other(relation oid) returns bigint
language plpgsql volatile
as $undo_check_each_other$
#variable_conflict use_variable
declare
    item   record;
    would  text;
    places text;
    pairs  text;
    twice  boolean;
    again  boolean;  -- whether rows were deleted twice under one key
    more   bigint;
    total  bigint := 0;
begin
    execute format('select exists (select from (select u.first_statement from pg_temp.journal_undo_%1$s u limit 1) f join pg_temp.journal_undo_%1$s u on u.first_statement <> f.first_statement)',
                   relation) into twice;
    if not twice then
        return 0;
    end if;
    execute format('select exists (select from pg_temp.journal_undo_%s u where u.status = ''reinsert'' group by %s having count(*) > 1)',
                   relation, journal.undo_list(relation, 'u.b%1$s', ', ', 'key')) into again;
    for item in
        select i.*, u.first_statement
          from journal.unique_expressions(relation, every => true) i
          join pg_temp.journal_undo u on u.relation = undo_check_each_other.relation
         where (u.reinserts and (not i.primary_key or i.exclusion or again or u.changed && i.attnums) or u.restored && i.attnums) and not exists (
               select from pg_temp.journal_undo_column c where c.relation = undo_check_each_other.relation and c.attnum = any (i.attnums)
                       and (c.generated or c.problem is not null or c.image_type is null))
    loop
        would := coalesce(would, journal.undo_rows_as_they_would_be(relation));
        places := format('select * from (select r.journal_row_no, %s from (%s%L) r where %s) w where %s',
                         item.computed, would, item.attnums, item.predicate,
                         case when item.nulls_distinct then format('num_nulls(%s) = 0', item.places) else 'true' end);
        perform journal.undo_catalog_first();
        if item.usual then
            execute format('select exists (select from (%s) w group by %s having count(*) > 1)', places, item.places) into twice;
            pairs := format('select w.journal_row_no, first_value(w.journal_row_no) over (partition by %s order by u.last_statement desc, u.row_no desc) as last_row_no
                               from (%s) w join pg_temp.journal_undo_%s u on u.row_no = w.journal_row_no', item.places, places, relation);
        else
            perform journal.undo_drop('journal_undo_place');
            execute format('create temporary table journal_undo_place on commit drop as
                            select w.*, u.last_statement as journal_at from (%s) w join pg_temp.journal_undo_%s u on u.row_no = w.journal_row_no', places, relation);
            execute 'create index on pg_temp.journal_undo_place using ' || item.indexed;
            analyze pg_temp.journal_undo_place;
            twice := true;
            pairs := format('select w.journal_row_no, min(x.journal_row_no) as last_row_no
                               from pg_temp.journal_undo_place w join pg_temp.journal_undo_place x on %1$s and (x.journal_at, x.journal_row_no) > (w.journal_at, w.journal_row_no)
                              where not exists (select from pg_temp.journal_undo_place z where %2$s and (z.journal_at, z.journal_row_no) > (x.journal_at, x.journal_row_no))
                              group by w.journal_row_no', format(item.meeting, 'x', 'w'), format(item.meeting, 'z', 'x'));
        end if;
        if twice then
            execute format($check$
                with met as (
                    %3$s
                ), turned as materialized (
                    select m.journal_row_no, %5$s as theirs, %6$s as row_key
                      from met m join pg_temp.journal_undo_%1$s y on y.row_no = m.last_row_no
                     where m.last_row_no <> m.journal_row_no
                )
                update pg_temp.journal_undo_%1$s u
                   set status = 'conflict', reason = %4$L, constraint_name = %2$L, theirs = t.theirs, their_statement = o.statement_id
                  from turned t
                  left join journal.undo_last_statements(%1$s, array(select distinct row_key from turned), %7$s) o using (row_key)
                 where u.row_no = t.journal_row_no$check$,
                relation, item.name, pairs,
                case when item.exclusion then 'exclusion_taken' when item.primary_key then 'key_reused' else 'unique_taken' end,
                (select format('concat(''('', %s, '')'')', string_agg(format('%L, coalesce(y.a%s, y.b%2$s)', case when c.key_position = 1 then '' else ', ' end || c.name || '=', c.attnum), ', ' order by c.key_position))
                   from pg_temp.journal_undo_column c where c.relation = undo_check_each_other.relation and c.key_position is not null),
                format('format(''%%s'', row(%s))', journal.undo_list(relation, 'y.b%1$s', ', ', 'key')), item.first_statement);
            get diagnostics more = row_count;
            total := total + more;
        end if;
        perform journal.undo_as_caller(false);
    end loop;
    return total;
end
$undo_check_each_other$;

comment on function journal.undo_check_each_other(oid) is 'Turns away rows that would take a unique place from each other; returns how many. Private.';
