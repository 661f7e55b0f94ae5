-- The physical table of a segment. No typmod, collation, default or constraint: an image is what was there.
create function journal.make_segment_table(segment journal.segment, name text) returns void
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $make_segment_table$
begin
    execute format('create table journal.%I (statement_id bigint not null%s)', name, case segment.kind
        when 'record' then ', attnums int2[], names text[], types oid[], o text[], n text[]'
        else (select coalesce(string_agg(format(', %s%s %s', side, a.attnum, ltrim(a.stored, '*')), '' order by side desc, a.n), '')
                from unnest(segment.attnums, segment.image_types) with ordinality as a (attnum, stored, n), unnest('{o,n}'::text[]) as side
               where a.stored is not null)
             || case when segment.key = '{}' then ', had boolean, has boolean' else '' end || ', elided int2[]' end);
    execute format('create index on journal.%I (statement_id)', name);
    execute format('comment on table journal.%I is %L', name, format(
        'Images of %s, shape %s: o before, n after, numbered by attnum; elided: unchanged, on neither side. Private; read journal.changes.',
        segment.table_name, segment.shape));
end
$make_segment_table$;

comment on function journal.make_segment_table(journal.segment, text) is 'Makes the physical table of a segment.';
