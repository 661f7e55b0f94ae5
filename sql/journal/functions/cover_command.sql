-- The command that covers a table as it is covered: a fix must not forget that a column holds secrets.
create function journal.cover_command(covered journal.covered_table) returns text
language sql stable
begin atomic
    select pg_catalog.concat_ws(' ', 'journal cover', journal.qualified_name(covered.relation),
               case covered.writers when 'agents' then '--agents-only' end,
               case when not covered.undo then '--audit-only' end,
               case when covered.strict_shape then '--strict' end,
               (select pg_catalog.string_agg('--exclude ' || n, ' ') from unnest(journal.attribute_names(covered.relation, covered.excluded)) as n),
               (select pg_catalog.string_agg('--counter ' || n, ' ') from unnest(journal.attribute_names(covered.relation, covered.counters)) as n),
               (select pg_catalog.string_agg('--maintained ' || n, ' ') from unnest(journal.attribute_names(covered.relation, covered.maintained)) as n),
               case covered.on_truncate when 'refuse' then '--truncate refuse' end);
end;

comment on function journal.cover_command(journal.covered_table) is 'The command that covers a table with the options it has.';
