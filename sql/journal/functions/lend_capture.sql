-- Whoever creates a trigger must be allowed to execute its function: cover lends the right to its caller until it has sealed.
create function journal.lend_capture(capture text) returns text
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $lend_capture$
begin
    if not has_function_privilege(journal.caller(), capture || '()', 'execute') then
        execute format('grant execute on function %s() to %I', capture, journal.caller());
    end if;
    return capture;
end
$lend_capture$;

comment on function journal.lend_capture(text) is 'Lets the caller create triggers with a capture function; returns its name. Private.';
