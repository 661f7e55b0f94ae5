-- Where the row of a step of this transaction lies, for as long as the step is open: so it is found again without an index, whose
-- pages a SERIALIZABLE transaction would lock against everybody's next step. Whoever forges the setting finds no step there.
create function journal.remember_step(step_id uuid, place tid) returns boolean
language plpgsql volatile
as $remember_step$
begin
    if current_setting('transaction_isolation') = 'serializable' then
        perform journal.write_notes(coalesce(journal.notes(), '{}') || jsonb_build_object(step_id, '{}'::jsonb));
    end if;
    return set_config('journal.steps', concat(current_setting('journal.steps', true), step_id, '@', place, ' '), true) is not null;
end
$remember_step$;

comment on function journal.remember_step(uuid, tid) is 'Notes where the row of an open step is. True. Private.';
