-- SQL text: two images are not the same, byte for byte. Where equality of the type says just that, it is used: it is ten
-- times cheaper. Numbers that are equal and have as many digits behind the point are the same (NaN and infinities have no scale).
-- Only for statements that run under a pinned search_path.
create function journal.differs(a text, b text, image_type text) returns text
language sql immutable
begin atomic
    select pg_catalog.format(
        case when image_type in ('boolean', 'smallint', 'integer', 'bigint', 'oid', 'text', '*text', 'character varying', 'bytea', 'uuid', 'date',
                                 'time without time zone', 'timestamp without time zone', 'timestamp with time zone')
             then '%1$s is distinct from %2$s'
             when image_type = 'numeric' then '(%1$s is distinct from %2$s or pg_catalog.scale(%1$s) is distinct from pg_catalog.scale(%2$s))'
             else 'pg_catalog.record_image_ne(row(%1$s), row(%2$s))' end, a, b);
end;

comment on function journal.differs(text, text, text) is 'SQL text: two images are not the same, exactly. Private.';
