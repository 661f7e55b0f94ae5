-- A later attempt is made only after the one before it was taken back or failed for good: counting up must not run an effect twice.
create function journal.check_attempt(tenant text, tool text, key text, attempt integer) returns boolean
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $check_attempt$
declare
    previous journal.step;
begin
    select s.* into previous from journal.step s
     where s.tenant = check_attempt.tenant and s.tool = check_attempt.tool and s.key = check_attempt.key
       and s.attempt = check_attempt.attempt - 1 and s.holds_key;
    if previous.status = 'failed' or exists (select from journal.external e where e.step_id = previous.step_id and e.status = 'failed') or journal.effective_rollback(previous.session_id, previous.step_id) is not null then
        return true;
    end if;
    raise exception using
        errcode = 'JR014', message = format('attempt %s of this key is not due', check_attempt.attempt),
        hint = case when previous.step_id is null then format('attempt %s was never made', check_attempt.attempt - 1)
                    else format('attempt %s is in effect; call with that to get its result', check_attempt.attempt - 1) end,
        detail = jsonb_build_object('tool', tool, 'key', key);
end
$check_attempt$;

comment on function journal.check_attempt(text, text, text, integer) is 'True, or raises InvalidKey where an attempt is not due. Private.';
