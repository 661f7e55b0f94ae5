-- The way back from an image to the column: images kept as text go through the type's input function. An array literal
-- reaches it for any type and never a cast that somebody wrote; arrays themselves have no such casts.
create function journal.undo_value(expression text, as_text boolean, live_type text) returns text
language sql immutable
begin atomic
    select case when not as_text then expression
                when live_type like '%[]' then pg_catalog.format('%s::%s', expression, live_type)
                else pg_catalog.format('case when %1$s is not null then (pg_catalog.concat(''{"'', pg_catalog.replace(pg_catalog.replace(%1$s, ''\'', ''\\''), ''"'', ''\"''), ''"}'')::%2$s[])[1] end',
                                       expression, live_type) end;
end;

comment on function journal.undo_value(text, boolean, text) is 'SQL text that turns an image back into a value of the column. Private.';
