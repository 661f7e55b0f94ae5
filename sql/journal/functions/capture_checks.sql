-- What every branch of a capture function does once it knows that rows were touched: refuse what may not be written, turn
-- another table's trigger away, leave a partition alone that was detached, and take a shape that it does not know as whole
-- rows, or refuse that too (strict).
create function journal.capture_checks(options journal.covered_table) returns text
language sql immutable
begin atomic
    select $checks${refuse_agents}
        if not intact then
            if tg_relid <> journal.captured_relation({capture}) then
                perform journal.raise_stale(tg_relid);
            elsif journal.is_detached({capture}) then
                return null;
            end if;
            $checks$ || case when options.strict_shape then 'perform journal.raise_stale(tg_relid);' else $heal$
            this_statement := nextval('journal.statement_id');
            settings := journal.pin_settings();
            execute journal.record_statement(tg_relid, tg_op, {record}, $heal$ || quote_literal(options.excluded) || $heal$) using this_statement;
            get diagnostics images = row_count;
            {ledger_of_records}
            perform journal.unpin_settings(settings);
            return null;$heal$ end || $checks$
        end if;$checks$;
end;

comment on function journal.capture_checks(journal.covered_table) is 'SQL text shared by the branches of a capture function.';
