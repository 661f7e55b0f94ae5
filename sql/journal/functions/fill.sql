-- Fills {names} in a piece of SQL text with other pieces, all at once: what was put in is not looked at again, because it may hold
-- a user's names, as quoted literals. Braces around anything else stay.
create function journal.fill(template text, pieces jsonb) returns text
language sql immutable
begin atomic
    select coalesce(pg_catalog.string_agg(
               case when t.n = 1 then t.part
                    when pieces ? pg_catalog.split_part(t.part, '}', 1) and t.part like '%}%'
                        then (pieces ->> pg_catalog.split_part(t.part, '}', 1)) || pg_catalog.substr(t.part, pg_catalog.strpos(t.part, '}') + 1)
                    else '{' || t.part end, '' order by t.n), '')
      from pg_catalog.string_to_table(template, '{') with ordinality as t (part, n);
end;

comment on function journal.fill(text, jsonb) is 'A template with its {names} replaced by the pieces of that name.';
