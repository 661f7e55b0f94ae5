-- Holds the sessions of the candidates until the seal commits, so that a rollback that comes now waits and sees the seal. Those
-- that a rollback holds already are passed by: sealing never waits for anybody.
create function outbox.lock_free_sessions(last outbox.seal, snapshot pg_snapshot) returns uuid[]
language plpgsql volatile
set search_path = pg_catalog, pg_temp
set enable_seqscan = off
set plan_cache_mode = force_generic_plan
as $lock_free_sessions$
declare
    wanted uuid[];
begin
    select array_agg(distinct c.session_id) into wanted
    from (
        select v.session_id from outbox.visible_between(last.snap, snapshot, last.from_id) as v
        union all
        select m.session_id from outbox.message as m where m.id = any (last.pending)
    ) as c
    where c.session_id is not null;
    if wanted is null then
        return '{}';
    end if;
    return array(select s.session_id from journal.session as s where s.session_id = any (wanted) for key share skip locked);
end
$lock_free_sessions$;

comment on function outbox.lock_free_sessions(outbox.seal, pg_snapshot) is 'Locks the sessions of all candidates that nobody rolls back, and returns them.';
