-- What became of an external effect that was not completed: unknown, failed (the key stays, a retry is told), or absent (the provider
-- does not know it: the key is free for another try).
create function journal.settle_external(step_id uuid, outcome text, result jsonb default null, error jsonb default null) returns boolean
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
as $settle_external$
declare
    settled boolean;
begin
    update journal.external e
       set status = case outcome when 'unknown' then 'unknown' else 'failed' end, result = settle_external.result,
           error = coalesce(settle_external.error, e.error),
           settled_at = case when outcome <> 'unknown' then clock_timestamp() end,
           settled_by = case when outcome <> 'unknown' then session_user::text end,
           note = case outcome when 'absent' then 'the provider does not know it' end
      from journal.step s
     where e.step_id = settle_external.step_id and s.step_id = e.step_id and s.db_user = session_user
       and e.status in ('intended', 'unknown');
    settled := found;
    if settled and outcome = 'absent' then
        update journal.step s set holds_key = false where s.step_id = settle_external.step_id;
    end if;
    return settled;
end
$settle_external$;

comment on function journal.settle_external(uuid, text, jsonb, jsonb) is 'Records that an external effect is unknown, failed or absent; false where it was settled before. Private.';
