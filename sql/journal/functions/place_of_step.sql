-- Where remember_step found the row of an open step of this transaction. No regular expression: one per step would be compiled anew.
create function journal.place_of_step(step_id uuid) returns tid
language plpgsql stable
as $place_of_step$
begin
    return nullif(split_part(split_part(current_setting('journal.steps', true), step_id::text || '@', 2), ' ', 1), '');
end
$place_of_step$;

comment on function journal.place_of_step(uuid) is 'Where the row of an open step of this transaction lies; null where that was not noted. Private.';
