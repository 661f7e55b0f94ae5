-- Where remember_step noted the row of an open step of this transaction. No regular expression: one per step would be compiled anew.
create function journal.place_of_step(step_id uuid) returns tid
language sql stable
begin atomic
    select nullif(split_part(split_part(pg_catalog.current_setting('journal.steps', true), step_id::text || '@', 2), ' ', 1), '')::tid;
end;

comment on function journal.place_of_step(uuid) is 'Where the row of an open step of this transaction lies; null where that was not noted. Private.';
