-- A later attempt is made only after the one before it was taken back or failed for good: counting up must not run an effect twice.
create function journal.check_attempt(try journal.step) returns void
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $check_attempt$
declare
    previous journal.step;
begin
    if try.attempt = 1 then
        return;
    end if;
    select s.* into previous from journal.step s
     where s.tenant = try.tenant and s.tool = try.tool and s.key = try.key and s.attempt = try.attempt - 1 and s.holds_key;
    if previous.status = 'failed' or journal.effective_rollback(previous.session_id, previous.step_id) is not null then
        return;
    end if;
    raise exception using
        errcode = 'JR014', message = format('attempt %s of this key is not due', try.attempt),
        hint = case when previous.step_id is null then format('attempt %s was never made', try.attempt - 1)
                    else format('attempt %s is in effect; call with that to get its result', try.attempt - 1) end,
        detail = jsonb_build_object('tool', try.tool, 'key', try.key);
end
$check_attempt$;

comment on function journal.check_attempt(journal.step) is 'Raises InvalidKey where an attempt is not due. Private.';
