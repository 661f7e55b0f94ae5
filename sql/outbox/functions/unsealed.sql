-- What is committed and not sealed, cancelled messages left out: reads that only, however long the history is.
create function outbox.unsealed()
returns table (message_id uuid, topic text, key text, created_at timestamptz, release_at timestamptz, bytes integer, waited boolean)
language plpgsql stable security definer
set search_path = pg_catalog, pg_temp
set enable_seqscan = off
as $unsealed$
declare
    last outbox.seal;
begin
    select s.* into last from outbox.seal as s order by s.no desc limit 1;
    return query
    select u.message_id, u.topic, u.key, u.created_at, u.release_at, u.bytes, u.waited
    from (
        select v.*, false as waited from outbox.visible_between(coalesce(last.snap, '3:3:'), pg_current_snapshot(), coalesce(last.from_id, 0)) as v
        union all
        select m.*, true from outbox.message as m where m.id = any (last.pending)
    ) as u
    where not exists (select from outbox.cancellation as c where c.id = u.id);
end
$unsealed$;

comment on function outbox.unsealed() is 'Messages that are committed and not sealed; waited: a seal has passed them by.';
