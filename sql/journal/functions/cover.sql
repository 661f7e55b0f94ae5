-- Covers a table, or brings its segment, capture functions and triggers to the present. Runs as the table's owner: only
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
set quote_all_identifiers = off
as $cover$
declare
    options journal.covered_table;
    before  constant jsonb := journal.coverage_state(relation);
begin
    perform journal.refuse_uncoverable(relation, journal.why_not_coverable(relation, undo));
    execute format('lock table %s in share row exclusive mode', journal.qualified_name(relation));
    options.relation := relation;
    options.writers := writers;
    options.undo := undo;
    options.strict_shape := cover.strict;
    options.on_truncate := truncate;
    options.excluded := journal.column_numbers(relation, exclude, 'excluded');
    options.counters := journal.column_numbers(relation, counters, 'a counter');
    options.maintained := journal.column_numbers(relation, maintained, 'maintained');
    perform journal.refuse_uncoverable(relation, journal.why_not_excludable(relation, options.excluded));
    perform journal.set_triggers(m.member::regclass, m.kind, m.capture) from journal.make_segment(relation, options) m;
    perform journal.let_capture_read(r.member, truncate = 'capture' and exclude = '{}') from journal.relations_of(relation) r where r.kind <> 'p';
    perform journal.seal_coverage(relation);
    return jsonb_build_object('table', journal.qualified_name(relation), 'before', before, 'after', journal.coverage_state(relation));
end
$cover$;

comment on function journal.cover(regclass, text, boolean, text[], text[], text[], text, boolean) is
    'Covers a table, or brings its coverage to the present; idempotent. writers: all, agents; undo: false records only; truncate: capture, refuse; strict: writes fail when the shape is not the one covered. Raises NotCoverable. Returns {table, before, after}.';
