-- A seal without members of its own: what it brings stands elsewhere, or it only marks a place. Runs under the lock of sealing.
create function outbox.seal_nothing(kind text) returns bigint
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $seal_nothing$
declare
    last outbox.seal;
begin
    select s.* into last from outbox.seal as s order by s.no desc limit 1;
    perform outbox.check_not_rewound(last.snap, pg_current_snapshot(), last.max_id);
    insert into outbox.seal (no, lineage, kind, snap, pending, total, max_id, from_id, due_at, waits_for, lock_missed)
    values (last.no + 1, outbox.lineage_in_force(last.no + 1), seal_nothing.kind, last.snap, last.pending, last.total, last.max_id, last.from_id,
            last.due_at, last.waits_for, last.lock_missed);
    return last.no + 1;
end
$seal_nothing$;

comment on function outbox.seal_nothing(text) is 'Adds a seal with the snapshot of its predecessor, and returns its number.';
