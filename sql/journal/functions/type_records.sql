-- Brings rows that were kept whole into the form of every other segment. Attnums are never used twice, so shapes that came one
-- after another fit side by side: a column that a row did not have counts as elided, one that was retyped stays text. A column that
-- was excluded when the rows were written has no image, as in every other segment: an undo must know that it was there. Texts are
-- read under the settings that they were written under.
create function journal.type_records(record_id integer, current journal.segment) returns void
language plpgsql volatile
set search_path = pg_catalog, pg_temp
set datestyle = 'ISO, MDY'
set intervalstyle = postgres
set timezone = UTC
set xmloption = content
set array_nulls = on
set lc_monetary = 'C'
as $type_records$
declare
    segment journal.segment;
    has_key boolean;
begin
    select s.* into segment from journal.segment s where s.segment_id = type_records.record_id;
    segment.kind := 'typed';
    execute format($shapes$
        select array_agg(attnum order by attnum), array_agg(name order by attnum), array_agg(type order by attnum),
               array_agg(case kinds when 0 then null when 1 then coalesce(journal.image_type(type), '*text') else '*text' end order by attnum)
          from (select a.attnum, (array_agg(a.name::name order by r.statement_id desc))[1] as name,
                       (array_agg(a.type::regtype order by r.statement_id desc))[1] as type, count(distinct a.type) as kinds
                  from journal.segment_%s r, unnest(r.attnums, r.names, r.types) as a (attnum, name, type)
                 group by a.attnum
                 union all
                select a.attnum, a.name, a.type, 0
                  from journal.covered_table o, unnest($1, $2, $3) as a (attnum, name, type)
                 where o.relation = $4 and a.attnum = any (o.excluded)) as c$shapes$, record_id)
       into segment.attnums, segment.names, segment.types, segment.image_types
      using current.attnums, current.names, current.types, current.relation;
    execute format('select not exists (select from journal.segment_%s where not %L::int2[] <@ attnums)', record_id, current.key) into has_key;
    segment.key := case when has_key then current.key else '{}' end;
    perform journal.make_segment_table(segment, 'typed_' || record_id);
    execute (
        select format('insert into journal.typed_%1$s (statement_id, elided, %2$s%4$s)
                       select statement_id, (select array_agg(m) from unnest(%3$L::int2[]) m where m <> all (attnums)), %5$s%6$s
                         from journal.segment_%1$s order by statement_id',
                      record_id, string_agg(format('o%1$s, n%1$s', a.attnum), ', ' order by a.attnum), array_agg(a.attnum),
                      case when segment.key = '{}' then ', had, has' else '' end,
                      string_agg(format('o[array_position(attnums, %1$s)]::%2$s, n[array_position(attnums, %1$s)]::%2$s', a.attnum, ltrim(a.stored, '*')), ', ' order by a.attnum),
                      case when segment.key = '{}' then ', o is not null, n is not null' else '' end)
          from unnest(segment.attnums, segment.image_types) as a (attnum, stored) where a.stored is not null);
    execute format('drop table journal.segment_%1$s', record_id);
    execute format('alter table journal.typed_%1$s rename to segment_%1$s', record_id);
    update journal.segment s
       set kind = segment.kind, key = segment.key, attnums = segment.attnums, names = segment.names, types = segment.types,
           image_types = segment.image_types, until_at = clock_timestamp()
     where s.segment_id = type_records.record_id;
end
$type_records$;

comment on function journal.type_records(integer, journal.segment) is 'Turns a segment of whole rows into a typed one.';
