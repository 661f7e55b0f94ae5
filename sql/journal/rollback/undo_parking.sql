-- SQL text of a value that a column of row t can be parked at while others take its place: nothing that any row has. NULL is
-- never in the way, nor, mostly, is an empty range under an exclusion constraint (empties); for other types a value is made that nobody uses. Null where there is no such value, as under a foreign key.
-- Where others follow by ON UPDATE CASCADE it is never NULL: they would not follow back.
create function journal.undo_parking(relation oid, attnum int2, nulls_distinct boolean, empties boolean) returns text
language plpgsql stable
as $undo_parking$
#variable_conflict use_variable
declare
    item record;
begin
    select c.name, c.live_type, c.not_null, b.typname, b.typtype, a.atttypmod, a.attidentity,
           case when b.typsubscript = 'pg_catalog.array_subscript_handler'::regproc then format_type(b.typelem, null) end as element into item
      from pg_temp.journal_undo_column c
      join pg_attribute a on a.attrelid = c.relation and a.attnum = c.attnum
      join pg_type b on b.oid = journal.base_type(a.atttypid)
     where c.relation = undo_parking.relation and c.attnum = undo_parking.attnum;
    return case
        when item.attidentity = 'a' then null  -- takes no value in an UPDATE
        when not item.not_null and nulls_distinct
             and not exists (select from journal.undo_foreign_keys(relation) f where f.parent = relation and attnum = any (f.parent_attnums) and f.on_update = 'c') then 'null'
        when exists (select from journal.undo_foreign_keys(relation) f where f.child = relation and attnum = any (f.child_attnums)) then null
        when item.typtype in ('r', 'm') and empties then format('%L::%s', case item.typtype when 'r' then 'empty' else '{}' end, item.live_type)
        when item.typname in ('int2', 'int4', 'int8', 'numeric') then
            format('(select pg_catalog.max(p.%1$s) operator(pg_catalog.+) u.row_no from %2$s p)::%3$s', item.name, journal.undo_rows(relation), item.live_type)
        when item.typname in ('date', 'timestamp', 'timestamptz') then
            format('(select pg_catalog.max(p.%1$s) operator(pg_catalog.+) pg_catalog.make_interval(days => u.row_no::integer) from %2$s p where pg_catalog.isfinite(p.%1$s))::%3$s',
                   item.name, journal.undo_rows(relation), item.live_type)
        when item.typname in ('text', 'varchar', 'bpchar') then
            format('pg_catalog.left(pg_catalog.replace(pg_catalog.gen_random_uuid()::text, ''-'', ''''), %s)::%s',
                   case when item.atttypmod > 4 then item.atttypmod - 4 else 32 end, item.live_type)
        when item.typname = 'uuid' then format('pg_catalog.gen_random_uuid()::%s', item.live_type)
        when item.typname = 'bytea' then format('pg_catalog.uuid_send(pg_catalog.gen_random_uuid())::%s', item.live_type)
        when item.typname = 'jsonb' then format('pg_catalog.jsonb_build_object(pg_catalog.gen_random_uuid()::text, null)::%s', item.live_type)
        when item.typtype = 'r' and item.typname in ('int4range', 'int8range', 'numrange', 'daterange') then
            format('(select %1$s(pg_catalog.max(pg_catalog.upper(p.%2$s)) operator(pg_catalog.+) 2 operator(pg_catalog.*) u.row_no%4$s, pg_catalog.max(pg_catalog.upper(p.%2$s)) operator(pg_catalog.+) 2 operator(pg_catalog.*) u.row_no%4$s operator(pg_catalog.+) 1) from %3$s p)::%5$s',
                   'pg_catalog.' || item.typname, item.name, journal.undo_rows(relation), case when item.typname in ('int4range', 'daterange') then '::integer' else '' end, item.live_type)
        -- arrays that begin elsewhere are others
        when item.element is not null then
            format('pg_catalog.array_fill(null::%s, ''{1}'', array[-2000000000 operator(pg_catalog.+) u.row_no::integer])::%s', item.element, item.live_type)
        end;
end
$undo_parking$;

comment on function journal.undo_parking(oid, int2, boolean, boolean) is 'SQL text of a value that is in nobody''s way. Private.';
