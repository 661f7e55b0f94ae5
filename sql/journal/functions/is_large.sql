-- Whether a value may be so large that it is worth leaving out where it did not change, as SQL text. From 17 on the server
-- shows whether it keeps it out of line, at no cost.
create function journal.is_large(expression text) returns text
language sql stable
begin atomic
    select pg_catalog.format(case when pg_catalog.current_setting('server_version_num')::integer >= 170000
                                  then 'pg_column_toast_chunk_id(%s) is not null' else 'pg_column_size(%s) > 1000' end, expression);
end;

comment on function journal.is_large(text) is 'SQL text: a value may be worth leaving out of an image.';
