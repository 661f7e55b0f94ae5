-- Fills {names} in a piece of SQL text with other pieces. The pieces are ours, never a user's: identifiers come quoted.
create function journal.fill(template text, pieces jsonb) returns text
language plpgsql immutable
set search_path = pg_catalog, pg_temp
as $fill$
declare
    piece record;
begin
    for piece in select p.key, p.value from jsonb_each_text(pieces) as p loop
        template := replace(template, '{' || piece.key || '}', piece.value);
    end loop;
    return template;
end
$fill$;

comment on function journal.fill(text, jsonb) is 'A template with its {names} replaced by the pieces of that name.';
