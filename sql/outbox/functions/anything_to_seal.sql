-- Asks the difference itself: "the sequence has not moved" would hide a transaction that took its number early and committed late.
create function outbox.anything_to_seal() returns boolean
language plpgsql volatile
set search_path = pg_catalog, pg_temp
set enable_seqscan = off
set plan_cache_mode = force_generic_plan
as $anything_to_seal$
declare
    last outbox.seal;
begin
    select s.* into last from outbox.seal as s order by s.no desc limit 1;
    if last.no is not null then
        perform outbox.check_not_rewound(last.snap, pg_current_snapshot(), last.max_id);
    end if;
    return last.no is null
        or exists (select from outbox.visible_between(last.snap, pg_current_snapshot(), last.from_id))
        or outbox.pending_may_move(last);
end
$anything_to_seal$;

comment on function outbox.anything_to_seal() is 'Whether a seal made now could have members. Writes nothing.';
