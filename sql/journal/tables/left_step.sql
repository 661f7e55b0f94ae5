-- Steps of which a rollback took nothing back, because every row that they changed was left as it is: they keep their key, their receipt and
-- their messages, as if that rollback had not been.
create table journal.left_step (
    rollback_id uuid not null,
    step_id     uuid not null,
    primary key (rollback_id, step_id)
);

comment on table journal.left_step is 'Steps that partial rollbacks left whole. Private.';
comment on column journal.left_step.step_id is 'The step; or the session, for what it did outside of steps. Of a rollback that is all.';
