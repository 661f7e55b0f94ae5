-- Whether retention may drop a segment. A session that is open and was bound within the last 7 days keeps what it wrote.
create function journal.is_droppable(segment journal.segment, keep interval default null) returns boolean
language sql stable security definer
set search_path = pg_catalog, pg_temp
begin atomic
    select segment.until_at is not null
       and segment.dropped_at is null
       and segment.until_at < pg_catalog.now() - coalesce(keep, journal.retention())
       and not exists (
           select
             from journal.session s
             join journal.binding b on b.session_id = s.session_id
             join journal.statement t on t.transaction_id = b.transaction_id and t.cluster = b.cluster
            where s.status = 'open' and t.segment_id = segment.segment_id
              and (select max(l.bound_at) from journal.binding l where l.session_id = s.session_id) > pg_catalog.now() - interval '7 days');
end;

comment on function journal.is_droppable(journal.segment, interval) is 'Whether retention may drop the segment.';
