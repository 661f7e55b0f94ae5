-- Frees the key of a step for another effect, where it has been kept long enough. Never while nobody knows whether its external
-- effect took place, and not while a later attempt of the key is kept: whoever asks for the first is still to be told of that one.
create function journal.free_expired_key(held journal.step) returns boolean
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $free_expired_key$
begin
    update journal.step s set holds_key = false
     where s.step_id = held.step_id and s.key_expires_at <= clock_timestamp()
       and not exists (select from journal.external e where e.step_id = held.step_id and e.status in ('intended', 'unknown'))
       and not exists (
           select from journal.step later
            where later.tenant = held.tenant and later.tool = held.tool and later.key = held.key and later.attempt > held.attempt
              and later.holds_key and later.key_expires_at > clock_timestamp());
    return found;
end
$free_expired_key$;

comment on function journal.free_expired_key(journal.step) is 'Whether the key of a step had expired, and is free now. Private.';
