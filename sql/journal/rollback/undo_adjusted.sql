-- SQL text: the counters of row u that are undone by their difference. A value that is or was NULL has none: then a counter is a column like any other.
create function journal.undo_adjusted(relation oid) returns text
language plpgsql stable
as $undo_adjusted$
#variable_conflict use_variable
begin
    return (
        select coalesce(format('array_remove(array[%s]::int2[], null)', string_agg(format('case when u.a%1$s - u.b%1$s is not null then %1$s end', c), ', ')), '''{}''::int2[]')
          from unnest(journal.undo_counters(relation)) c
    );
end
$undo_adjusted$;

comment on function journal.undo_adjusted(oid) is 'SQL text: the counters of a row that have a difference. Private.';
