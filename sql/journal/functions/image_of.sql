-- An expression as it is stored: types that are kept as text go through their output function. format('%s') is used,
-- because a cast to text could run code that the owner of the type wrote.
create function journal.image_of(expression text, image_type text) returns text
language sql immutable
begin atomic
    select case when image_type like '*%'
                then pg_catalog.format('case when %1$s is distinct from null then pg_catalog.format(''%%s'', %1$s) end', expression)
                else expression end;
end;

comment on function journal.image_of(text, text) is 'SQL text of an expression in the form in which a segment stores it.';
