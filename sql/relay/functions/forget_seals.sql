-- Seals, marks and cancellations of dropped messages go in small numbers, so that no transaction is long. The last seal that is not
-- whole stays: the next one is told apart by its snapshot.
create function relay.forget_seals() returns void
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $forget_seals$
declare
    pruned outbox.pruned;
begin
    select p.* into pruned from outbox.pruned as p;
    delete from outbox.seal as s
    where s.no in (select x.no from outbox.seal as x where x.no < pruned.through_seal order by x.no limit 10000);
    delete from relay.mark as k
    where (k.destination, k.lane, k.seal) in (
        select x.destination, x.lane, x.seal from relay.mark as x where x.seal < pruned.through_seal limit 10000);
    delete from outbox.cancellation as c
    where c.id in (select x.id from outbox.cancellation as x where x.id <= pruned.through_id order by x.id limit 10000);
end
$forget_seals$;

comment on function relay.forget_seals() is 'Deletes seals, marks and cancellations of messages that were dropped.';
