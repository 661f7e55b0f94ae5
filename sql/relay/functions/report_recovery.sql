-- An append worked again after an error.
create function relay.report_recovery(name text) returns void
language sql volatile security definer
set search_path = pg_catalog, pg_temp
as $report_recovery$
    update relay.destination as d
    set recovered_at = clock_timestamp(), stopped_for = null
    where d.destination = name and (d.stopped_for is not null or coalesce(d.recovered_at < d.last_error_at, d.last_error_at is not null))
$report_recovery$;

comment on function relay.report_recovery(text) is 'Records that a destination takes messages again.';
