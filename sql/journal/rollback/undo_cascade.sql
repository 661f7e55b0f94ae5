-- The sessions that were built on the given ones: whose later changes conflict with the rollback, and whose own rollback
-- conflicts with others, until none is found. Only sessions of agents; what anybody else did stays a conflict.
create function journal.undo_cascade(session_ids uuid[], step_ids uuid[]) returns uuid[]
language plpgsql volatile
as $undo_cascade$
declare
    cascaded uuid[] := '{}';
    found_now uuid[];
begin
    if step_ids is not null then
        raise exception using errcode = '22023', message = 'on_conflict cascade takes whole sessions, not steps';
    end if;
    loop
        begin
            perform journal.undo_prepare(array(select m.session_id from journal.undo_members(session_ids || cascaded, true) m), null, 'refuse', false, false);
            found_now := array(select distinct s from journal.undo_built_on() s where s <> all (session_ids || cascaded));
            raise exception using errcode = 'JR999';
        exception when sqlstate 'JR999' then
            perform journal.undo_as_caller(false);
        end;
        exit when found_now = '{}';
        cascaded := cascaded || found_now;
    end loop;
    return cascaded;
end
$undo_cascade$;

comment on function journal.undo_cascade(uuid[], uuid[]) is 'The sessions that were built on the given ones. Private.';
