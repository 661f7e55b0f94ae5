-- The TRUNCATE branch of a capture function: reads the rows that are about to go, from the table itself. The table is named
-- when it runs, so a rename does no harm. A shape that cover has not seen refuses.
create function journal.capture_truncate(options journal.covered_table) returns text
language sql immutable
begin atomic
    select $detached$
        if journal.is_detached({capture}) then
            return null;
        end if;$detached$ || case options.on_truncate when 'refuse' then $refuse$
        perform journal.refuse_truncate(tg_relid, 'its coverage says so', 'delete the rows, or cover it with truncate => capture');$refuse$
    else $capture$
        perform journal.admit_truncate(tg_relid);
        execute replace($query$select {shape} from (select *, {padding} from only <table>) as x ({x}) limit 1$query$,
                        '<table>', tg_relid::regclass::text) into intact;
        if intact is null then
            return null;
        end if;{refuse_agents}
        if not intact or tg_relid <> journal.captured_relation({capture}) then
            perform journal.raise_stale(tg_relid);
        end if;
        this_statement := nextval('journal.statement_id');
        execute replace($query$insert into journal.{segment} (statement_id, {old_names})
                        select $1, {old_values} from (select 1, * from only <table>) as o (place, {o})$query$,
                        '<table>', tg_relid::regclass::text) using this_statement;
        get diagnostics images = row_count;
        {ledger_of_truncate}$capture$ end;
end;

comment on function journal.capture_truncate(journal.covered_table) is 'SQL text of the TRUNCATE branch of a capture function.';
