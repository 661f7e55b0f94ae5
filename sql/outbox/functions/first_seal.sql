-- Seal 0 sees nothing, so that every real seal has a predecessor.
create function outbox.first_seal() returns void
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $first_seal$
begin
    if not exists (select from outbox.seal) then
        insert into outbox.seal (no, lineage, snap) values (0, outbox.lineage_in_force(0), '3:3:');
    end if;
end
$first_seal$;

comment on function outbox.first_seal() is 'Makes seal 0 unless it is there.';
