-- The live value of a column in the form in which images hold it: the type under a domain, or the output text.
create function journal.undo_live(alias text, column_name text, as_text boolean, live_type text, base_type text) returns text
language sql immutable
begin atomic
    select case when as_text then journal.image_of(alias || '.' || column_name, '*text')
                when live_type is null then 'null'
                else pg_catalog.format('%s.%s::%s', alias, column_name, base_type) end;
end;

comment on function journal.undo_live(text, text, boolean, text, text) is 'SQL text of a live value in the form of an image. Private.';
