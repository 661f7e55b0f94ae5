-- The condition that finds a live row (alias t by default) by its key. Keys of catalog types keep their index; those kept as text are
-- compared as text.
create function journal.undo_key_match(relation oid, image text, alias text default 't') returns text
language plpgsql stable
as $undo_key_match$
#variable_conflict use_variable
begin
    return (
        select pg_catalog.string_agg(
                   pg_catalog.format('%1$s operator(pg_catalog.=) %2$s',
                                     case when c.as_text then journal.undo_live(alias, c.name, true, c.live_type, c.base_type) else alias || '.' || c.name end,
                                     pg_catalog.format(image, c.attnum)), ' and ' order by c.key_position)
          from pg_temp.journal_undo_column c
         where c.relation = undo_key_match.relation and c.key_position is not null
    );
end
$undo_key_match$;

comment on function journal.undo_key_match(oid, text, text) is 'SQL text that finds a live row by the key in an image. Private.';
