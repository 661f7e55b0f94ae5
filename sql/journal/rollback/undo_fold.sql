-- Folds what a session touched more than once into one row: per column, what was before and what it left behind.
-- Inside a transaction the order of statements says nothing (nested triggers record the inner one first), so the ends of
-- a column's walk through its values are found as a multiset difference: a value it left more often than it came to is
-- the first, the reverse is the last. Between transactions the order of statement ids holds; where the end of one is not
-- the beginning of the next, or the journal knows of others in between, the session came anew. What it did between two such
-- breaks and took back itself is nothing; where something is left on both sides of a break, or before one, no value is right
-- for all: the column is broken. Depth 0 says that both the session and its triggers wrote the row. What a standing rollback did ends what it took
-- back, whatever it met there; what it did to others' columns, or to others' rows, is left out.
create function journal.undo_fold(relation oid) returns void
language plpgsql volatile
as $undo_fold$
#variable_conflict use_variable
declare
    work constant text := 'journal_undo_' || relation;
    between constant text := 'journal_between_' || relation;
    same constant text := journal.undo_image_key(relation);
begin
    perform journal.undo_between(relation);
    if journal.undo_part(relation) then
        perform journal.undo_drop(between), journal.undo_between(relation);
    end if;
    execute format($fold$
        create temporary table %6$I on commit drop as
        with image as materialized (
            select * from (select *, array[ledger_xmin] as xmins, bool_and(standing) over (partition by identity) as alone from pg_temp.%1$I where images > 1) i where not alone
        ), cell as (
            select i.identity, i.transaction_id, i.statement_id, i.standing, c.attnum, c.side, c.there, c.value
              from image i
             cross join lateral (values (0::int2, 1, i.kind <> 'I', null::text), (0::int2, -1, i.kind <> 'D', null::text), %2$s)
                   as c (attnum, side, there, value)
             where c.attnum <> all (coalesce(i.elided, '{}'))
        ), net as (
            select identity, attnum, transaction_id, min(statement_id) as at, bool_and(standing) as standing, there, value, sum(side) as net
              from cell
             group by identity, attnum, transaction_id, there, value
            having sum(side) <> 0
        ), walk as (
            select identity, attnum, transaction_id, min(at) as at, bool_and(standing) as standing, bool_or(abs(net) > 1) or count(*) > 2 as torn,
                   bool_or(there) filter (where net > 0) as before_there, max(value) filter (where net > 0) as before,
                   bool_or(there) filter (where net < 0) as after_there, max(value) filter (where net < 0) as after
              from net
             group by identity, attnum, transaction_id
        ), begun as (
            select *, bool_and(standing) over (partition by identity, attnum order by at) as others from walk
        ), chain as (
            select *, lag(after) over w as their_after, lag(after_there) over w as their_there, lag(at) over w as since, lead(at) over w as next
              from begun
             where not others
            window w as (partition by identity, attnum order by at)
        ), met as (
            select c.*, since is not null and not standing and ((their_after, their_there) is distinct from (before, before_there) or %8$s) as anew, next is null and %9$s as left_to_others
              from chain c
        ), run as (
            select *, count(*) filter (where anew) over (partition by identity, attnum order by at) as run,
                   bool_or(left_to_others) over (partition by identity, attnum) as met_later from met
        ), piece as (
            select identity, attnum, run, (array_agg(before order by at))[1] as before, (array_agg(before_there order by at))[1] as before_there,
                   (array_agg(after order by at desc))[1] as after, (array_agg(after_there order by at desc))[1] as after_there,
                   bool_or(torn) as torn, bool_or(met_later) as met_later, max(run) over (partition by identity, attnum) as runs
              from run
             group by identity, attnum, run
        ), ends as (
            select identity, attnum, (array_agg(before order by run))[1] as before, (array_agg(before_there order by run))[1] as before_there,
                   (array_agg(after order by run desc))[1] as after, (array_agg(after_there order by run desc))[1] as after_there,
                   bool_or(torn) or min(run) < max(runs) or bool_or(met_later) as broken
              from piece
             where torn or (before, before_there) is distinct from (after, after_there)
             group by identity, attnum
        ), changed as (
            select * from ends where (before, before_there) is distinct from (after, after_there) or broken
        ), folded as (
            select identity,
                   bool_or(before_there) filter (where attnum = 0) as was_there, bool_or(after_there) filter (where attnum = 0) as is_there,
                   array_agg(attnum order by attnum) filter (where attnum > 0) as changed, array_agg(attnum order by attnum) filter (where broken) as broken, %3$s
              from changed
             group by identity
        ), whole as (
            select identity, min(row_no) as row_no, count(*) filter (where not standing) as images, min(statement_id) as first_statement, max(statement_id) as last_statement,
                   (array_agg(transaction_id order by statement_id desc))[1] as transaction_id, bool_and(same_cluster) as same_cluster, case when min(depth) <= 1 and max(depth) > 1 then 0::smallint else min(depth) end as depth, %4$s
              from image
             group by identity
        ), last_write as (
            select i.identity, array_agg(x) as xmins from image i join whole w using (identity, transaction_id), unnest(i.xmins) x group by i.identity
        )
        select w.row_no, w.images::integer as images,
               case when f.identity is null then 'N' when f.was_there is null then 'U' when f.was_there then 'D' else 'I' end::text as kind,
               w.first_statement, w.last_statement, null::xid as xmin_left, l.xmins, w.same_cluster, w.depth,
               case when f.was_there is null then coalesce(f.changed, '{}') else '{}' end as changed, nullif(array(select c from unnest(f.broken) c where c <> all (%7$L::int2[]) %10$s), '{}') as broken, %5$s
          from whole w
          join last_write l using (identity)
          left join folded f using (identity)$fold$,
        'journal_image_' || relation,
        journal.undo_list(relation, '(%1$s::int2, 1, i.kind <> ''I'', case when i.b%1$s is not null then pg_catalog.format(''%%s'', i.b%1$s) end), '
                                    '(%1$s::int2, -1, i.kind <> ''D'', case when i.a%1$s is not null then pg_catalog.format(''%%s'', i.a%1$s) end)', ', '),
        journal.undo_list(relation, 'max(before) filter (where attnum = %1$s)::%3$s as b%1$s, max(after) filter (where attnum = %1$s)::%3$s as a%1$s', ', '),
        journal.undo_list(relation, '(array_agg(pg_catalog.format(''%%s'', coalesce(a%1$s, b%1$s)) order by row_no desc))[1]::%3$s as k%1$s', ', ', 'key')
        || coalesce((select string_agg(format(', case when bool_or(%1$s <> all (coalesce(elided, ''{}'')) and (kind <> ''I'' and b%1$s is null or kind <> ''D'' and a%1$s is null)) is not true'
                                              ' then sum(a%1$s) - sum(b%1$s) end as d%1$s', c.attnum), '')
                       from pg_temp.journal_undo_column c where c.relation = undo_fold.relation and c.attnum = any (journal.undo_counters(relation))), ''),
        journal.undo_folded(relation), 'journal_fold_' || relation, journal.undo_maintained(relation),
        format('exists (select from pg_temp.%I o where o.identity = c.identity and o.statement_id > c.since and o.statement_id < c.at and (o.changed is null or c.attnum = any (o.changed)))', between),
        format('exists (select from pg_temp.%I o where o.identity = c.identity and o.statement_id > c.at and (o.changed is null or c.attnum = any (o.changed)))', between),
        coalesce((select string_agg(format('and (c <> %1$s or w.d%1$s is null or not f.was_there)', c), ' ') from unnest(journal.undo_counters(relation)) c), ''));
    execute format('delete from pg_temp.%1$I u where (u.first_statement, %2$s) in (select u.statement_id, %2$s from pg_temp.%3$I u where u.images > 1)',
                   work, same, 'journal_image_' || relation);
    execute format('insert into pg_temp.%I %s', work, journal.undo_judge(relation, 'pg_temp.journal_fold_' || relation));
end
$undo_fold$;

comment on function journal.undo_fold(oid) is 'Folds rows that a session touched more than once. Private.';
