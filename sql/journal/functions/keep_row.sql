-- Trigger function of the trigger that set_triggers puts on partitioned tables only to be there. It is never run.
create function journal.keep_row() returns trigger
language plpgsql
as $keep_row$
begin
    return new;
end
$keep_row$;

comment on function journal.keep_row() is 'Keeps a row as it is. Private.';
