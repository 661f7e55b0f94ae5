-- The cluster's part: the owner of the schemas and the group roles. All are NOLOGIN; grants.sql says what each may do.
-- Another database of the cluster may be creating the same roles at this moment: whoever comes second finds them there.
do $roles$
declare
    name text;
begin
    foreach name in array
        array['journal_owner', 'journal_agent', 'journal_operator', 'journal_reader', 'journal_auditor']
    loop
        if not exists (select from pg_catalog.pg_roles as r where r.rolname = name) then
            begin
                execute format('create role %I nologin', name);
            exception
                when duplicate_object or unique_violation then null;
            end;
        end if;
    end loop;
end
$roles$;
