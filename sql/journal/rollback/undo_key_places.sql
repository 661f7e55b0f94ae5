-- Conditions, one for each constraint over columns of the key alone: live row x has the place that row u of the work table gets back with its key.
create function journal.undo_key_places(relation oid) returns setof text
language plpgsql stable
as $undo_key_places$
#variable_conflict use_variable
begin
    return query
    select journal.undo_key_match(relation, 'u.b%1$s', 'x')
    union
    select p.same
      from journal.unique_columns(relation) i
     cross join lateral (
           select pg_catalog.string_agg(pg_catalog.format('x.%s %s %s', c.name, journal.operator_name(o.operator), journal.undo_value('u.b' || c.attnum, c.as_text, c.live_type)), ' and ')
             from unnest(i.attnums, i.operators) as o (attnum, operator)
             join pg_temp.journal_undo_column c on c.relation = undo_key_places.relation and c.attnum = o.attnum) p (same)
     where i.immediate and i.attnums <@ journal.undo_key_attnums(relation) and (i.exclusion or not i.primary_key);
end
$undo_key_places$;

comment on function journal.undo_key_places(oid) is 'SQL texts: a live row has a place that goes back with a key. Private.';
