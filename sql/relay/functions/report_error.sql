-- Remembers what went wrong, as data a DBA reads; stopped: relays will not go on by themselves.
create function relay.report_error(name text, error text, stopped boolean) returns void
language sql volatile security definer
set search_path = pg_catalog, pg_temp
as $report_error$
    update relay.destination as d
    set last_error = left(error, 2000), last_error_at = clock_timestamp(), stopped_for = case when stopped then left(error, 2000) end
    where d.destination = name
$report_error$;

comment on function relay.report_error(text, text, boolean) is 'Records the last error of a destination.';
