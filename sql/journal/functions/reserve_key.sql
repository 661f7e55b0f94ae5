-- Reserves the key of a try by writing the try. Returns nulls, or the try that holds the key. A concurrent holder is waited for
-- through the unique index; the lock timeout is set for that and put back.
create function journal.reserve_key(try journal.step, wait interval) returns journal.step
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $reserve_key$
declare
    holder  journal.step;
    patient constant text := current_setting('lock_timeout');
    done    boolean;
begin
    loop
        begin
            perform set_config('lock_timeout', greatest(1, ceil(extract(epoch from reserve_key.wait) * 1000))::text, true);
            done := journal.insert_step(try);
        exception
            when lock_not_available then
                perform journal.raise_in_progress(try);
        end;
        perform set_config('lock_timeout', patient, true);
        if done then
            return null;
        end if;
        select s.* into holder from journal.step s
         where s.tenant = try.tenant and s.tool = try.tool and s.key = try.key and s.attempt = try.attempt and s.holds_key;
        if holder.key_expires_at > clock_timestamp() then
            return holder;
        end if;
        update journal.step s set holds_key = false where s.step_id = holder.step_id and s.holds_key;
    end loop;
end
$reserve_key$;

comment on function journal.reserve_key(journal.step, interval) is 'Reserves the key of a try, or returns the try that holds it. Raises StepInProgress. Private.';
