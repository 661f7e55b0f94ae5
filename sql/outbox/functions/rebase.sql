-- Lets a database that was restored or copied seal again, in a lineage of its own. Its transaction ids may repeat, so snapshots from
-- before tell nothing of what is published from now on: what was not sealed is listed by number, once and for all.
create function outbox.rebase() returns bigint
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
as $rebase$
declare
    last outbox.seal;
    base outbox.seal;
    draft outbox.seal;
begin
    perform outbox.check_may_seal();
    perform set_config('lock_timeout', '10s', true) where current_setting('lock_timeout') = '0';
    lock table outbox.message in share row exclusive mode;   -- whoever is publishing finishes first
    perform outbox.lock_sealer(true);
    perform outbox.commit_durably();
    select s.* into last from outbox.seal as s order by s.no desc limit 1;
    if last.no is null then
        return null;
    end if;
    base := last;
    base.snap := pg_current_snapshot();
    base.max_id := greatest(last.max_id, (select max(m.id) from outbox.message as m), (select i.last_value from outbox.message_id as i));
    base.from_id := base.max_id;
    perform setval('outbox.message_id', greatest(base.max_id, 1));
    base.pending := array(
        select m.id from outbox.message as m
        where not outbox.sealed_by(last.no, m.id, m.xid) and not exists (select from outbox.cancellation as c where c.id = m.id));
    draft := outbox.draft_seal(base, base.snap, outbox.lock_free_sessions(base, base.snap));
    draft.kind := 'rebase';
    insert into outbox.lineage (no, system_identifier, timeline, database, from_seal)
    select last.lineage + 1, h.system_identifier, h.timeline, h.database, draft.no from outbox.source_identity() as h
    returning no into draft.lineage;
    return outbox.store_seal(draft);
end
$rebase$;

comment on function outbox.rebase() is
    'Opens a new lineage in a restored or copied database, seals what is not sealed, and returns the number of that seal; null when nothing was ever sealed. Make sure first that the original no longer publishes.';
