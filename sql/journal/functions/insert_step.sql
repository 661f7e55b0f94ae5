-- Writes a try. False: another try holds its key. Waits for one that is running, at most as long as lock_timeout says.
create function journal.insert_step(try journal.step) returns boolean
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $insert_step$
begin
    insert into journal.step select try.* on conflict (tenant, tool, key, attempt) where holds_key do nothing;
    return found;
end
$insert_step$;

comment on function journal.insert_step(journal.step) is 'Writes a try of a step; false where its key is held. Private.';
