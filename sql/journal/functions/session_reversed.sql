-- How much of a session is taken back by rollbacks that are themselves in effect. A rollback is a session too: of what one did that
-- was itself rolled back in part, the rest is in effect.
create function journal.session_reversed(session_id uuid) returns text
language plpgsql stable security definer
set search_path = pg_catalog, pg_temp
as $session_reversed$
declare
    taken_back journal.reversal;
    undone     text;
    answer     text := 'no';
begin
    for taken_back in select r.* from journal.reversal r where r.session_id = session_reversed.session_id loop
        undone := journal.session_reversed(taken_back.rollback_id);
        if undone = 'no' and taken_back.step_id is null and not taken_back.partly and not journal.is_overtaken(taken_back) then
            return 'fully';
        elsif undone <> 'fully' then
            answer := 'partly';
        end if;
    end loop;
    return answer;
end
$session_reversed$;

comment on function journal.session_reversed(uuid) is 'no, partly or fully.';
