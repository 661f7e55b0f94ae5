-- A segment row holds both images. What would not fit is refused at cover, never at the user's write: 1,600 columns are
-- the limit of a table (about 700 doubled, with room), and a row must fit its fixed part and a pointer (18 bytes) for
-- each value that can be moved out of line into a page.
create function journal.why_too_wide(relation regclass) returns text
language sql stable
begin atomic
    select case
        when pg_catalog.count(*) > 700 then 'it has more than 700 columns, too many for both images in one row'
        when pg_catalog.sum(2 * case when t.typlen > 0 then t.typlen + 4 else 18 end) > 7800
            then 'its columns are too wide for both images in one row'
        end
      from pg_catalog.pg_attribute a
      join pg_catalog.pg_type t on t.oid = a.atttypid
     where a.attrelid = relation and a.attnum > 0 and not a.attisdropped;
end;

comment on function journal.why_too_wide(regclass) is 'The reason why both images of a row would not fit into one, or null.';
