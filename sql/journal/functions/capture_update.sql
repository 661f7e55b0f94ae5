-- The UPDATE branch of a capture function. One row has a statement of its own, which writes the ledger too: pairing costs more
-- than storing it. Whether any large value is there to be left out is asked once, since asking for every row costs more than that.
-- Whether there is a second row is asked by a join: where there is a sub-select the server walks through the query at each execution.
-- Only in a partition tree can rows be without a partner: one that moves may be swallowed by a trigger of the partition it moves to.
-- Only a FULL JOIN may join transition tables that may hold several rows: plans are cached at the first row count, and a nested loop
-- planned for one row is quadratic for a bulk statement. That join holds all rows, so it borrows memory: written to disk it takes a sixth of capture more.
create function journal.capture_update(partitioned boolean) returns text
language sql immutable
begin atomic
    select pg_catalog.replace(pg_catalog.replace(pg_catalog.replace($update$
        select {intact}, {serializable}, second.there is not null<unpaired>, {large}
          into intact, serializable, several, large
          from (select *, {padding} from new_rows) as x ({x})
          left join (select true from new_rows offset 1 limit 1) as second (there) on true
         limit 1;
        if not found then<moved>
            return null;
        end if;{checks}
        this_statement := nextval('journal.statement_id');
        if not several and large then
            with image as (
                insert into journal.{segment} (statement_id, {old_names}, {new_names}, elided)
                select this_statement, {kept_old_values}{had}, {kept_new_values}{has}, {elided}
                  from (select 1, * from new_rows) as n (place, {n}) left join (select 1, * from old_rows) as o (place, {o}) on true
            )
            {ledger_of_one_update}
            return null;
        elsif not several then
            with image as (
                insert into journal.{segment} (statement_id, {old_names}, {new_names})
                select this_statement, {old_values}, {new_values}
                  from (select 1, * from new_rows) as n (place, {n}) left join (select 1, * from old_rows) as o (place, {o}) on true
            )
            {ledger_of_one_update}
            return null;
        end if;
        memory := current_setting('work_mem');
        borrowed := set_config('work_mem', greatest(pg_size_bytes(memory) / 1024, 32768)::text, true);<pairs>
        get diagnostics images = row_count;
        borrowed := set_config('work_mem', memory, true);
        {ledger_of_update}$update$,
        '<unpaired>', case when partitioned then ' or exists (select from old_rows offset 1)' else '' end),
        '<moved>', case when partitioned then $moved$
            select {intact}, {serializable}, true, false into intact, serializable, several, large from (select *, {padding} from old_rows) as x ({x}) limit 1;
        end if;
        if not found then$moved$ else '' end),
        '<pairs>', case when partitioned then $partitioned$
        if (select count(*) from old_rows) = (select count(*) from new_rows) then
            insert into journal.{segment} (statement_id, {old_names}, {new_names})
            select this_statement, {old_values}, {new_values}
              from (select row_number() over (), * from old_rows) as o (place, {o})
              full join (select row_number() over (), * from new_rows) as n (place, {n}) on o.place = n.place;
        else
            insert into journal.{segment} (statement_id, {old_names}, {new_names})
            select this_statement, {old_values}, {new_values}
              from (select row_number() over (), * from old_rows) as o (place, {o})
              full join (select row_number() over (), * from new_rows) as n (place, {n}) on {same_key};
        end if;$partitioned$ else $plain$
        if not large then
            large := exists (select from (select *, {padding} from new_rows) as x ({x}) where {large});
        end if;
        if large then
            insert into journal.{segment} (statement_id, {old_names}, {new_names}, elided)
            select this_statement, {kept_old_values}{had}, {kept_new_values}{has}, {elided}
              from (select row_number() over (), * from old_rows) as o (place, {o})
              full join (select row_number() over (), * from new_rows) as n (place, {n}) on o.place = n.place;
        else
            insert into journal.{segment} (statement_id, {old_names}, {new_names})
            select this_statement, {old_values}, {new_values}
              from (select row_number() over (), * from old_rows) as o (place, {o})
              full join (select row_number() over (), * from new_rows) as n (place, {n}) on o.place = n.place;
        end if;$plain$ end);
end;

comment on function journal.capture_update(boolean) is 'SQL text of the UPDATE branch of a capture function.';
