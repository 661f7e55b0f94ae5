-- What must hold before a TRUNCATE is captured: the rows are read from the table itself, under the present snapshot and
-- with the owner's rights, so anything that could hide one of them refuses.
create function journal.admit_truncate(relation regclass) returns void
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $admit_truncate$
declare
    home constant oid := (select c.relnamespace from pg_class c where c.oid = relation);
    many boolean;
begin
    if current_setting('transaction_isolation') <> 'read committed' then
        perform journal.refuse_truncate(relation, 'the snapshot of this transaction may not show all its rows',
                                        'truncate in a READ COMMITTED transaction, or delete the rows');
    elsif not has_schema_privilege(current_user, home, 'usage') then
        perform journal.refuse_truncate(relation, format('%I may not enter its schema', current_user),
                                        format('grant usage on schema %s to %I, or delete the rows', home::regnamespace, current_user));
    elsif not has_table_privilege(current_user, relation, 'select') then
        perform journal.refuse_truncate(relation, format('%I may not read it', current_user),
                                        format('grant select on %s to %I, or delete the rows', relation, current_user));
    elsif row_security_active(relation) then
        perform journal.refuse_truncate(relation, 'row security hides its rows', 'delete the rows');
    end if;
    execute format('select count(*) > $1 from (select from only %s limit $1 + 1) as l', relation) into many using journal.truncate_limit();
    if many then
        perform journal.refuse_truncate(relation, format('it has more than %s rows', journal.truncate_limit()),
                                        'delete the rows in parts, or run journal uncover first');
    end if;
end
$admit_truncate$;

comment on function journal.admit_truncate(regclass) is 'Raises CaptureFailed unless a TRUNCATE of the table can be captured whole.';
