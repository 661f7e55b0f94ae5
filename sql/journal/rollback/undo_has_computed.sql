-- Whether a table may have unique or exclusion constraints that are partial, over expressions or generated columns, or of a partition alone:
-- unique_expressions takes long to plan, and most tables have none.
create function journal.undo_has_computed(relation oid) returns boolean
language plpgsql stable
as $undo_has_computed$
#variable_conflict use_variable
begin
    return exists (select from pg_catalog.pg_index i where i.indrelid = relation and (i.indisunique or i.indisexclusion) and (i.indexprs is not null or i.indpred is not null))
        or exists (select from pg_catalog.pg_attribute a where a.attrelid = relation and a.attgenerated <> '' and not a.attisdropped)
        or exists (select from pg_catalog.pg_partition_tree(relation::regclass) t join pg_catalog.pg_index i on i.indrelid = t.relid and (i.indisunique or i.indisexclusion)
                    where t.level > 0 and not exists (select from pg_catalog.pg_inherits h where h.inhrelid = i.indexrelid));
end
$undo_has_computed$;

comment on function journal.undo_has_computed(oid) is 'Whether a table may have unique places that are computed, or in a partition alone. Private.';
