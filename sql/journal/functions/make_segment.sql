-- The definer half of cover: makes or reuses the segment for the table's present shape, writes the capture function,
-- and returns its name. The caller, who owns the table, creates the triggers.
create function journal.make_segment(relation regclass, options journal.covered_table) returns text
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
as $make_segment$
declare
    segment journal.segment;
begin
    if not pg_has_role(journal.caller(), (select c.relowner from pg_class c where c.oid = relation), 'usage') then
        raise exception using errcode = '42501', message = format('must be owner of table %s to cover it', relation);
    end if;
    segment := journal.present_shape(relation, options.excluded);
    select s.* into segment.segment_id, segment.shape
      from (select s.segment_id, s.shape from journal.segment s
             where s.relation = make_segment.relation and s.until_at is null and s.attnums = segment.attnums
               and s.names = segment.names and s.types = segment.types and s.image_types = segment.image_types
               and s.key = segment.key) s;
    if not found then
        segment := journal.add_segment(segment);
    end if;
    execute format('create or replace function journal.%I() returns trigger language plpgsql security definer
                    set search_path = pg_catalog, pg_temp set jit = off%s as %L',
                   'capture_' || segment.segment_id,
                   case when exists (select from unnest(segment.image_types) t where t like '*%') then journal.pinned_settings() else '' end,
                   journal.capture_body(segment, options));
    insert into journal.covered_table (relation, segment_id, writers, undo, strict_shape, on_truncate, excluded, counters, maintained)
    values (relation, segment.segment_id, options.writers, options.undo, options.strict_shape, options.on_truncate, options.excluded,
            options.counters, options.maintained)
    on conflict on constraint covered_table_pkey do update set
        segment_id = excluded.segment_id, writers = excluded.writers, undo = excluded.undo, strict_shape = excluded.strict_shape,
        on_truncate = excluded.on_truncate, excluded = excluded.excluded, counters = excluded.counters, maintained = excluded.maintained;
    return format('journal.%I', 'capture_' || segment.segment_id);
end
$make_segment$;

comment on function journal.make_segment(regclass, journal.covered_table) is
    'The part of cover that needs the journal''s rights; returns the name of the capture function. Private: call journal.cover.';
