-- Condition: the key that row u of a work table has belongs into a given part of its table. Whatever decides that is in the key. image is the pattern
-- of an image column, as for undo_key_match.
create function journal.undo_lands_in(part oid, relation oid, image text) returns text
language plpgsql stable
as $undo_lands_in$
#variable_conflict use_variable
begin
    return case when part = relation then 'true'
                else (select pg_catalog.format('(select %s from (select %s) k)', pg_get_partition_constraintdef(part),
                                               string_agg(pg_catalog.format('%s as %s', journal.undo_value(pg_catalog.format(image, c.attnum), c.as_text, c.live_type), c.name), ', '))
                        from pg_temp.journal_undo_column c
                       where c.relation = undo_lands_in.relation and c.key_position is not null) end;
end
$undo_lands_in$;

comment on function journal.undo_lands_in(oid, oid, text) is 'SQL text: the key of a row belongs into a part of its table. Private.';
