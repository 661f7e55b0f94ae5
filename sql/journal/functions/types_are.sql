-- The second half of the shape check (see columns_are): a value of another type must never be coerced into an image.
create function journal.types_are(expected oid[], actual oid[]) returns boolean
language sql immutable
begin atomic
    select expected = actual;
end;

comment on function journal.types_are(oid[], oid[]) is 'Whether the types of a table''s columns are the ones that its segment was made for.';
