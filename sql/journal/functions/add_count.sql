-- Counts of changed rows are kept per segment, because that needs no look-up while rows are written; a receipt names the table.
create function journal.add_count(counts jsonb, segment_id integer, operation "char", rows bigint) returns jsonb
language plpgsql stable
as $add_count$
declare
    table_name text;
    word       constant text := lower(journal.operation_name(operation));
begin
    select coalesce(journal.qualified_name(g.relation), g.table_name) into table_name from journal.segment g where g.segment_id = add_count.segment_id;
    return counts || jsonb_build_object(table_name,
        coalesce(counts -> table_name, '{}') || jsonb_build_object(word, coalesce((counts -> table_name -> word)::bigint, 0) + rows));
end
$add_count$;

comment on function journal.add_count(jsonb, integer, "char", bigint) is 'Adds changed rows of one table and operation to counts such as {"public.orders": {"update": 1}}. Private.';
