-- Why a relation cannot be covered, or null. One home for the refusals: cover raises them, the coverage view shows them.
create function journal.why_not_coverable(relation regclass, undo boolean default true) returns text
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $why_not_coverable$
declare
    class pg_class;
begin
    select * into class from pg_class where oid = relation;
    return case
        when class.oid is null then 'there is no such table'
        when class.relnamespace in ('journal'::regnamespace, 'outbox'::regnamespace, 'relay'::regnamespace) then 'it belongs to the journal'
        when class.relnamespace in ('pg_catalog'::regnamespace, 'information_schema'::regnamespace) then 'it is a system catalog'
        when class.relkind = 'v' then 'it is a view; cover the tables it reads'
        when class.relkind = 'm' then 'it is a materialized view'
        when class.relkind = 'f' then 'it is a foreign table'
        when class.relkind not in ('r', 'p') then 'it is not a table'
        when class.relpersistence = 't' then 'it is temporary'
        when class.relispartition then format('it is a partition; cover %s', journal.qualified_name(pg_partition_root(relation)))
        when exists (select from pg_class c join journal.relations_of(relation) r on c.oid = r.member where c.relkind = 'f')
            then 'it has a foreign partition, whose changes the server does not show to triggers'
        when exists (select from pg_class c join journal.relations_of(relation) r on c.oid = r.member where c.relpersistence = 'u')
            then 'it is unlogged: its rows do not survive a crash, their images would'
        when class.relkind = 'r' and exists (select from pg_inherits i where relation in (i.inhrelid, i.inhparent)) then 'it takes part in inheritance'
        when exists (select from pg_rewrite r where r.ev_class = relation and r.ev_type <> '1') then 'a rule rewrites its statements'
        when not exists (select from pg_attribute a where a.attrelid = relation and a.attnum > 0 and not a.attisdropped and a.attgenerated = '')
            then 'it has no columns of its own'
        when undo and not exists (select from pg_index i where i.indrelid = relation and i.indisprimary) then 'it has no primary key'
        when exists (select from pg_index i join pg_attribute a on a.attrelid = i.indrelid and a.attnum = any (i.indkey)
                      where i.indrelid = relation and i.indisprimary and a.attgenerated <> '') then 'a generated column is part of its key'
        else journal.why_too_wide(relation)
    end;
end
$why_not_coverable$;

comment on function journal.why_not_coverable(regclass, boolean) is 'The reason why a relation cannot be covered, or null.';
