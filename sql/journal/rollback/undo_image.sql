-- SQL text of an image in the type that all images of its column share; of what stands for it where it is hidden.
create function journal.undo_image(expression text, stored text, image_type text, hidden boolean) returns text
language sql immutable
begin atomic
    select case when hidden then pg_catalog.format('case when %1$s is distinct from null then journal.keyed_digest(''image'', pg_catalog.format(''%%s'', %1$s), null) end', expression)
                when pg_catalog.ltrim(stored, '*') = image_type then expression
                else pg_catalog.format('case when %1$s is not null then pg_catalog.format(''%%s'', %1$s) end', expression) end;
end;

comment on function journal.undo_image(text, text, text, boolean) is 'SQL text of an image in a shared type. Private.';
