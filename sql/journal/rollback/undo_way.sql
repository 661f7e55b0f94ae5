-- SQL text: which rows that are restored wait for others in a unique place (of unique_expressions), because these have it now: the numbers of both in the work
-- table (waits_for null: not one that is restored), and whether it waits for nobody else. would: the rows as they would be.
create function journal.undo_way(relation oid, predicate text, computed text, same text, would text, attnums int2[]) returns text
language sql stable
begin atomic
    select pg_catalog.format($way$
        with w as materialized (
            select r.journal_row_no, r.journal_tableoid, r.journal_ctid, (%2$s) is true as journal_in, %3$s from (%4$s%5$L) r where r.journal_ctid is not null
        ), taken as materialized (
            select w.journal_row_no as waits, x.tableoid, x.ctid, count(*) over (partition by w.journal_row_no) = 1 as alone
              from w
             cross join lateral (
                   select x.tableoid, x.ctid from %1$s x
                    where %2$s and %6$s and (x.tableoid, x.ctid) is distinct from (w.journal_tableoid, w.journal_ctid)) x
             where w.journal_in
        )
        select k.waits, k.alone, y.journal_row_no as waits_for
          from taken k left join w y on (y.journal_tableoid, y.journal_ctid) = (k.tableoid, k.ctid)$way$,
        journal.undo_rows(relation), predicate, computed, would, attnums, same);
end;

comment on function journal.undo_way(oid, text, text, text, text, int2[]) is 'SQL text: which rows wait for which in a unique place. Private.';
