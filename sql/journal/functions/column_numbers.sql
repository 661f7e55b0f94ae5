-- Options name columns; the journal keeps attnums.
create function journal.column_numbers(relation regclass, names text[], purpose text) returns int2[]
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $column_numbers$
declare
    missing text;
begin
    select string_agg(n.name, ', ') into missing
      from unnest(names) as n (name)
     where not exists (select from pg_attribute a
                        where a.attrelid = relation and a.attname = n.name and a.attnum > 0 and not a.attisdropped);
    if missing is not null then
        raise exception using errcode = '42703', message = format('%s has no column %s to be %s', relation, missing, purpose);
    end if;
    return coalesce((select array_agg(a.attnum order by a.attnum) from pg_attribute a
                      where a.attrelid = relation and a.attname = any (names) and a.attnum > 0 and not a.attisdropped), '{}');
end
$column_numbers$;

comment on function journal.column_numbers(regclass, text[], text) is 'Attnums of the named columns; raises for names that do not exist.';
