-- The ledger keeps one letter, the views show the word.
create function journal.operation_name(operation "char") returns text
language sql immutable parallel safe
begin atomic
    select case operation when 'I' then 'INSERT' when 'U' then 'UPDATE' when 'D' then 'DELETE' when 'T' then 'TRUNCATE' end;
end;

comment on function journal.operation_name("char") is 'INSERT, UPDATE, DELETE or TRUNCATE for the ledger''s letter.';
