-- How much of a session is taken back by rollbacks that are themselves in effect.
create function journal.session_reversed(session_id uuid) returns text
language plpgsql stable security definer
set search_path = pg_catalog, pg_temp
as $session_reversed$
declare
    taken_back journal.reversal;
    answer     text := 'no';
begin
    for taken_back in select r.* from journal.reversal r where r.session_id = session_reversed.session_id loop
        if journal.effective_rollback(taken_back.rollback_id) is null then
            if taken_back.step_id is null and not taken_back.partly then
                return 'fully';
            end if;
            answer := 'partly';
        end if;
    end loop;
    return answer;
end
$session_reversed$;

comment on function journal.session_reversed(uuid) is 'no, partly or fully.';
