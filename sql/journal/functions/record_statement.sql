-- The statement that stores the rows of a shape which cover has not seen: each with its columns, as texts, so that a later
-- cover can bring them into typed form. Columns are numbered as in the covered table, whose partitions may number otherwise, and
-- excluded columns are left out here too. Pairs by place where the counts agree, half rows where they do not.
create function journal.record_statement(relation oid, operation text, record_id integer, excluded int2[]) returns text
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $record_statement$
declare
    pieces jsonb;
    root   constant oid := coalesce(pg_partition_root(relation), relation);
begin
    select jsonb_build_object(
               'record', record_id,
               'attnums', quote_literal(array_agg(r.attnum order by c.attnum)::text),
               'names', quote_literal(array_agg(name order by c.attnum)::text),
               'types', string_agg(format('pg_typeof(coalesce(o.c%1$s, n.c%1$s))::oid', c.attnum), ', ' order by c.attnum),
               'old', string_agg(journal.image_of('o.c' || c.attnum, '*text'), ', ' order by c.attnum),
               'new', string_agg(journal.image_of('n.c' || c.attnum, '*text'), ', ' order by c.attnum))
      into pieces
      from journal.live_columns(relation) c
      join journal.live_columns(root) r using (name)
     where r.attnum <> all (excluded);
    pieces := pieces || jsonb_build_object(
        'columns', (select string_agg('c' || c.attnum, ', ' order by c.attnum) from journal.live_columns(relation) c),
        'old_rows', case when operation = 'INSERT' then 'new_rows where false' else 'old_rows' end,
        'new_rows', case when operation = 'DELETE' then 'old_rows where false' else 'new_rows' end);
    pieces := pieces || jsonb_build_object(
        'sign', case when operation = 'UPDATE' then '(select case when (select count(*) from old_rows) = count(*) then 1 else -1 end from new_rows)' else '1' end);
    return journal.fill($insert$
        insert into journal.segment_{record} (statement_id, attnums, names, types, o, n)
        select $1, {attnums}, {names}, array[{types}],
               case when o.place is not null then array[{old}]::text[] end,
               case when n.place is not null then array[{new}]::text[] end
          from (select row_number() over (), * from {old_rows}) as o (place, {columns})
          full join (select {sign} * row_number() over (), * from {new_rows}) as n (place, {columns}) on o.place = n.place$insert$, pieces);
end
$record_statement$;

comment on function journal.record_statement(oid, text, integer, int2[]) is 'SQL text that stores the rows of a statement whole but for the excluded columns (attnums of the covered table); $1 is the statement''s id.';
