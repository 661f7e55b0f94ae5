-- The one statement that removes, restores and inserts again, over all tables. Its parts are put in order by counts that
-- the next part reads: unreferenced parts would run in no order one may rely on. Of the rows that it wrote, as_meant counts those
-- that the database is known to have stored as they were meant to be (undo_statement_of).
create function journal.undo_apply_rows(by_triggers boolean, phases text[] default '{remove,restore,reinsert}', out written bigint, out as_meant bigint)
language plpgsql volatile
as $undo_apply_rows$
declare
    names      text[] := '{}';
    parts      text[] := '{}';
    item       record;
    barrier    text := '0';
    phase      text;
begin
    foreach phase in array phases loop
        for item in
            select p.statement from pg_temp.journal_undo u
             cross join lateral journal.undo_statement_of(u.relation, phase, by_triggers, barrier) as p (statement)
             where u.target is not null order by u.relation
        loop
            names := names || format('part%s', cardinality(names) + 1);
            parts := parts || format('%s as (%s)', names[cardinality(names)], item.statement);
        end loop;
        barrier := coalesce((select string_agg(format('(select pg_catalog.count(*) from %s)', n), ' operator(pg_catalog.+) ') from unnest(names) n), '0');
    end loop;
    written := 0;
    as_meant := 0;
    if names <> '{}' then
        perform journal.undo_as_caller(true);
        execute format('with %s select pg_catalog.count(*), pg_catalog.count(*) filter (where as_meant) from (%s) part',
                       array_to_string(parts, ', '), (select string_agg('select as_meant from ' || n, ' union all ') from unnest(names) n))
           into written, as_meant;
        perform journal.undo_as_caller(false);
    end if;
end
$undo_apply_rows$;

comment on function journal.undo_apply_rows(boolean, text[]) is 'Removes, restores and inserts the rows of a plan in one statement; returns how many, and of how many it is known that they are as meant. Private.';
