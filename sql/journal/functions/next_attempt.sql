-- The attempt that a caller goes on with: the last one while it is in effect, else the one after it.
create function journal.next_attempt(held journal.step) returns integer
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $next_attempt$
declare
    last journal.step;
begin
    select s.* into last from journal.step s
     where s.tenant = held.tenant and s.tool = held.tool and s.key = held.key and s.holds_key
     order by s.attempt desc
     limit 1;
    if last.status = 'failed' or exists (select from journal.external e where e.step_id = last.step_id and e.status = 'failed') or journal.effective_rollback(last.session_id, last.step_id) is not null then
        return last.attempt + 1;
    end if;
    return last.attempt;
end
$next_attempt$;

comment on function journal.next_attempt(journal.step) is 'The attempt of a key that is in effect, or may be made next. Private.';
