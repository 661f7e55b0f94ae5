-- The lineage of the next seal. A failover opens a new one by itself; a copy, or a restore elsewhere, stops sealing.
create function outbox.lineage_in_force(next_seal bigint) returns integer
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $lineage_in_force$
declare
    here constant record := outbox.source_identity();
    line record;
begin
    select l.no, l.system_identifier, l.timeline, l.database into line from outbox.lineage as l order by l.no desc limit 1;
    if line.system_identifier <> here.system_identifier or line.database <> here.database or line.timeline > here.timeline then
        raise exception using
            errcode = 'RL004',
            message = 'outbox: this database is a copy, or was restored: its seals were made elsewhere',
            hint = 'make sure that the original no longer publishes, then run: relay rebase';
    end if;
    if line.no is null or line.timeline < here.timeline then
        insert into outbox.lineage (no, system_identifier, timeline, database, from_seal)
        values (coalesce(line.no, 0) + 1, here.system_identifier, here.timeline, here.database, next_seal);
    end if;
    return (select max(l.no) from outbox.lineage as l);
end
$lineage_in_force$;

comment on function outbox.lineage_in_force(bigint) is 'The lineage of the next seal; raises SourceRewound in a copy.';
