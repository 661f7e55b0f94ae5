-- What every branch of a capture function does once it knows that rows were touched: refuse what may not be written, and
-- refuse a shape that it does not know, or another table's trigger.
create function journal.capture_checks(relation regclass) returns text
language sql immutable
begin atomic
    select pg_catalog.format($checks$
        if agent then
            perform journal.admit(%1$s);
        end if;
        if not intact or tg_relid <> %1$s then
            perform journal.raise_stale(tg_relid);
        end if;$checks$, relation::oid);
end;

comment on function journal.capture_checks(regclass) is 'SQL text shared by the branches of a capture function.';
