-- Writes the body of the capture function of a segment. Transition tables are read through positional aliases, so
-- renames and odd names are harmless; the shape check is folded into the plan (columns_are, types_are).
-- Only a FULL JOIN may join transition tables: plans are cached at the first row count, and a nested loop planned for one
-- row is quadratic for a bulk statement. One row has a statement of its own, because pairing costs more than storing it.
create function journal.capture_body(segment journal.segment, options journal.covered_table) returns text
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $capture_body$
declare
    old_alias  text; new_alias text;       -- every live column, by position
    old_names  text; new_names text;       -- image columns of the segment
    old_values text; new_values text;
    key_match  text;
    shape      text;
    ledger     text;
begin
    select string_agg('o' || a.attnum, ', ' order by a.n), string_agg('n' || a.attnum, ', ' order by a.n),
           string_agg('o' || a.attnum, ', ' order by a.n) filter (where a.stored is not null),
           string_agg('n' || a.attnum, ', ' order by a.n) filter (where a.stored is not null),
           string_agg(journal.image_of('o.o' || a.attnum, a.stored), ', ' order by a.n) filter (where a.stored is not null),
           string_agg(journal.image_of('n.n' || a.attnum, a.stored), ', ' order by a.n) filter (where a.stored is not null),
           string_agg(format('%s = %s', journal.image_of('o.o' || a.attnum, a.stored), journal.image_of('n.n' || a.attnum, a.stored)), ' and ')
               filter (where a.attnum = any (segment.key))
      into old_alias, new_alias, old_names, new_names, old_values, new_values, key_match
      from unnest(segment.attnums, segment.image_types) with ordinality as a (attnum, stored, n);

    select format('journal.types_are(%s, %s, %L, array[%s])', segment.segment_id, segment.relation::oid,
                  array_agg(journal.base_type(a.type) order by a.n)::text,
                  string_agg(format('journal.type_of(case when false then %%1$s.%%1$s%s end)', a.attnum), ', ' order by a.n))
      into shape
      from unnest(segment.attnums, segment.types) with ordinality as a (attnum, type, n);

    ledger := format($ledger$
        insert into journal.statement (statement_id, transaction_id, cluster, segment_id, rows, executed_at, depth, operation, db_user, db_role, application_name)
        values (this_statement, pg_current_xact_id(), journal.cluster_id(), %s, images, statement_timestamp(), pg_trigger_depth(), '%%s', session_user,
                nullif(current_setting('role'), 'none'), nullif(current_setting('application_name'), ''));$ledger$, segment.segment_id);

    return format($body$
declare
    this_statement bigint;
    images bigint;
    olds bigint;
    news bigint;
    intact boolean;
    agent boolean;
    several boolean;
begin%17$s
    if tg_op = 'UPDATE' then
        select journal.columns_are(%1$s, %2$L), %18$s, exists (select from old_rows offset 1) or exists (select from new_rows offset 1)
          into intact, agent, several from new_rows limit 1;
        if not found then
            select journal.columns_are(%1$s, %2$L), %18$s, true into intact, agent, several from old_rows limit 1;
            if not found then
                return null;
            end if;
        end if;%3$s
        this_statement := nextval('journal.statement_id');
        if several then
            select (select count(*) from old_rows), count(*) into olds, news from new_rows;
        end if;
        if not several then
            insert into journal.segment_%4$s (statement_id, %5$s, %6$s)
            select this_statement, %7$s, %8$s from old_rows as o (%9$s) full join new_rows as n (%10$s) on true where %11$s;
        elsif olds = news then
            insert into journal.segment_%4$s (statement_id, %5$s, %6$s)
            select this_statement, %7$s, %8$s
              from (select row_number() over (), * from old_rows) as o (n, %9$s)
              full join (select row_number() over (), * from new_rows) as n (n, %10$s) on o.n = n.n
             where %11$s;
        else
            insert into journal.segment_%4$s (statement_id, %5$s, %6$s)
            select this_statement, %7$s, %8$s
              from old_rows as o (%9$s)
              full join new_rows as n (%10$s) on %12$s
             where %11$s;
        end if;
        get diagnostics images = row_count;%13$s
    elsif tg_op = 'INSERT' then
        select journal.columns_are(%1$s, %2$L), %18$s into intact, agent from new_rows limit 1;
        if not found then
            return null;
        end if;%3$s
        this_statement := nextval('journal.statement_id');
        insert into journal.segment_%4$s (statement_id, %6$s)
        select this_statement, %8$s from new_rows as n (%10$s) where %14$s;
        get diagnostics images = row_count;%15$s
    elsif tg_op = 'DELETE' then
        select journal.columns_are(%1$s, %2$L), %18$s into intact, agent from old_rows limit 1;
        if not found then
            return null;
        end if;%3$s
        this_statement := nextval('journal.statement_id');
        insert into journal.segment_%4$s (statement_id, %5$s)
        select this_statement, %7$s from old_rows as o (%9$s) where %11$s;
        get diagnostics images = row_count;%16$s
    else%19$s
    end if;
    return null;
end
$body$,
        segment.relation::oid, segment.attnums::text, journal.capture_checks(segment.relation),
        segment.segment_id, old_names, new_names, old_values, new_values, old_alias, new_alias,
        format(shape, 'o'), key_match, format(ledger, 'U'), format(shape, 'n'), format(ledger, 'I'), format(ledger, 'D'),
        journal.capture_preamble(options),
        $agent$exists (select from journal.agent_role r where r.role_name in (session_user, current_setting('role')))$agent$,
        journal.capture_truncate(segment, options));
end
$capture_body$;

comment on function journal.capture_body(journal.segment, journal.covered_table) is 'Source of the capture function of a segment.';
