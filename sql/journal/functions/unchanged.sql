-- Whether a large value was left as it was, as SQL text; null for types whose values are small. From 17 on the server shows
-- where it keeps a value out of line: the same place is the same value, at no cost. Before, the value has to be read: the
-- cheapest comparison that is exact (bytes, not what the type calls equal), and only for values that are large.
create function journal.unchanged(attnum int2, column_type oid) returns text
language sql stable
begin atomic
    select case
        when t.typlen <> -1 or t.typstorage not in ('x', 'e') then null
        when pg_catalog.current_setting('server_version_num')::integer >= 170000
            then pg_catalog.format('pg_column_toast_chunk_id(o.o%1$s) = pg_column_toast_chunk_id(n.n%1$s)', attnum)
        else journal.is_large('o.o' || attnum) || ' and ' || pg_catalog.format(
            case when t.oid in ('text'::pg_catalog.regtype, 'varchar'::pg_catalog.regtype) then 'o.o%1$s collate "C" = n.n%1$s collate "C"'
                 when t.oid = 'bytea'::pg_catalog.regtype then 'o.o%1$s = n.n%1$s'
                 else 'record_image_eq(row(o.o%1$s), row(n.n%1$s))' end, attnum)
        end
      from pg_catalog.pg_type t
     where t.oid = journal.base_type(column_type);
end;

comment on function journal.unchanged(int2, oid) is 'SQL text: a large value is the same in both rows; null where values of the type are small.';
