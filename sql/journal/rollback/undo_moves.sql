-- Whether a plan may give rows of a table another key, or another place in a unique index or exclusion constraint.
create function journal.undo_moves(relation oid) returns boolean
language plpgsql stable
as $undo_moves$
#variable_conflict use_variable
declare
    changed constant int2[] := (select u.changed || u.restored from pg_temp.journal_undo u where u.relation = undo_moves.relation);
begin
    if changed = '{}' then
        return false;
    elsif changed && journal.undo_key_attnums(relation) then
        return true;
    elsif exists (select from journal.unique_columns(relation) i where changed && i.attnums) then
        return true;
    elsif not journal.undo_has_computed(relation) then
        return false;
    end if;
    return exists (select from journal.unique_expressions(relation) i where changed && i.attnums);
end
$undo_moves$;

comment on function journal.undo_moves(oid) is 'Whether a plan may give rows another key or unique value. Private.';
