-- Whether this database was restored or copied since its last seal, so that it may not seal by itself.
create function relay.needs_rebase() returns boolean
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
as $needs_rebase$
declare
    last outbox.seal;
    line outbox.lineage;
    here constant record := outbox.source_identity();
begin
    select s.* into last from outbox.seal as s order by s.no desc limit 1;
    select l.* into line from outbox.lineage as l order by l.no desc limit 1;
    if coalesce(line.system_identifier <> here.system_identifier or line.database <> here.database or line.timeline > here.timeline, false) then
        return true;
    end if;
    if last.no is not null then
        perform outbox.check_not_rewound(last.snap, pg_current_snapshot(), last.max_id);
    end if;
    return false;
exception when sqlstate 'RL004' then
    return true;
end
$needs_rebase$;

comment on function relay.needs_rebase() is 'Whether outbox.seal refuses because this database was restored or copied.';
