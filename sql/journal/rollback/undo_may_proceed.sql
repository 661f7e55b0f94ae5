-- Whether a plan may be carried out: nothing refused, and no conflicts unless they are to be skipped.
create function journal.undo_may_proceed(report jsonb, on_conflict text) returns boolean
language sql immutable
begin atomic
    select (report #>> '{rows,refuse}')::bigint = 0 and (on_conflict = 'skip' or (report #>> '{rows,conflict}')::bigint = 0);
end;

comment on function journal.undo_may_proceed(jsonb, text) is 'Whether a plan may be carried out. Private.';
