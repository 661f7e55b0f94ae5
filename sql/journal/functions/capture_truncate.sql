-- The TRUNCATE branch of a capture function: reads the rows that are about to go, from the table itself. The table is named
-- when it runs, so a rename does no harm.
create function journal.capture_truncate(options journal.covered_table) returns text
language sql immutable
begin atomic
    select case options.on_truncate when 'refuse' then $refuse$
        perform journal.refuse_truncate(tg_relid, 'its coverage says so', 'delete the rows, or cover it with truncate => capture');$refuse$
    else $capture$
        perform journal.admit_truncate(tg_relid);
        execute replace($query$select {shape}, {agent} from (select *, {padding} from only <table>) as x ({x}) limit 1$query$,
                        '<table>', tg_relid::regclass::text) into intact, agent;
        if intact is null then
            return null;
        end if;{checks}
        this_statement := nextval('journal.statement_id');
        execute replace($query$insert into journal.segment_{segment} (statement_id, {old_names})
                        select $1, {old_values} from only <table> as o ({o})$query$, '<table>', tg_relid::regclass::text) using this_statement;
        {ledger}$capture$ end;
end;

comment on function journal.capture_truncate(journal.covered_table) is 'SQL text of the TRUNCATE branch of a capture function.';
