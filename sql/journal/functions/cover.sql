-- Covers a table, or brings its segment, capture function and triggers to the present. Runs as the table's owner: only
-- the owner may create the triggers; what needs the journal's rights is done by make_segment.
create function journal.cover(
    relation   regclass,
    writers    text default 'all',
    undo       boolean default true,
    exclude    text[] default '{}',
    counters   text[] default '{}',
    maintained text[] default '{}',
    truncate   text default 'capture',
    strict     boolean default false
) returns jsonb
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $cover$
declare
    options journal.covered_table;
    reason  text;
    capture text;
    before  jsonb := journal.coverage_state(relation);
begin
    reason := journal.why_not_coverable(relation);
    if reason is not null then
        raise exception using
            errcode = 'JR030', message = format('%s cannot be covered: %s', relation, reason), table = relation::text,
            detail = jsonb_build_object('reason', reason);
    end if;
    execute format('lock table only %s in share row exclusive mode', journal.qualified_name(relation));
    options.relation := relation;
    options.writers := writers;
    options.undo := undo;
    options.strict_shape := cover.strict;
    options.on_truncate := truncate;
    options.excluded := journal.column_numbers(relation, exclude, 'excluded');
    options.counters := journal.column_numbers(relation, counters, 'a counter');
    options.maintained := journal.column_numbers(relation, maintained, 'maintained');
    capture := journal.make_segment(relation, options);
    perform journal.set_triggers(relation, capture);
    perform journal.seal_coverage(relation);
    return jsonb_build_object('table', journal.qualified_name(relation), 'before', before, 'after', journal.coverage_state(relation));
end
$cover$;

comment on function journal.cover(regclass, text, boolean, text[], text[], text[], text, boolean) is
    'Covers a table, or brings its coverage to the present; idempotent. writers: all, agents; truncate: capture, refuse. Raises NotCoverable. Returns {table, before, after}.';
