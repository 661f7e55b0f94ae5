-- An operator, qualified, as it stands between two operands.
create function journal.operator_name(operator oid) returns text
language sql stable
begin atomic
    select pg_catalog.format('operator(%I.%s)', n.nspname, o.oprname)
      from pg_catalog.pg_operator o join pg_catalog.pg_namespace n on n.oid = o.oprnamespace
     where o.oid = operator_name.operator;
end;

comment on function journal.operator_name(oid) is 'operator(schema.name) for use in generated SQL.';
