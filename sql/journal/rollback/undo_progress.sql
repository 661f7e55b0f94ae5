-- Progress of a long rollback, as notices, for clients that asked for it with journal.progress = on.
create function journal.undo_progress(phase text) returns void
language plpgsql volatile
as $undo_progress$
begin
    if current_setting('journal.progress', true) = 'on' then
        raise notice using message = 'journal: ' || phase;
    end if;
end
$undo_progress$;

comment on function journal.undo_progress(text) is 'Tells a client that asked for it what a rollback is doing. Private.';
