-- A step that was completed need not be found again.
create function journal.forget_step(step_id uuid) returns boolean
language plpgsql volatile
as $forget_step$
declare
    notes constant jsonb := journal.notes();
begin
    if notes is not null then
        perform journal.write_notes(notes - step_id::text);
    end if;
    return set_config('journal.steps', replace(current_setting('journal.steps', true), concat(step_id, '@', journal.place_of_step(step_id), ' '), ''),
                      true) is not null;
end
$forget_step$;

comment on function journal.forget_step(uuid) is 'Forgets where the row of a step is. True. Private.';
