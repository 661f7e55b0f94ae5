-- An identity column that is always generated takes no value in an UPDATE: a row that got another number since is left as it is.
create function journal.undo_check_identity(relation oid) returns bigint
language plpgsql volatile
as $undo_check_identity$
#variable_conflict use_variable
declare
    item  record;
    more  bigint;
    total bigint := 0;
begin
    for item in
        select a.attnum, format('%I is generated always as identity, and an UPDATE gives it no value', a.attname) as theirs
          from pg_attribute a
          join pg_temp.journal_undo u on u.relation = undo_check_identity.relation and a.attnum = any (u.restored)
         where a.attrelid = undo_check_identity.relation and a.attidentity = 'a'
    loop
        execute format('update pg_temp.journal_undo_%s set status = ''conflict'', reason = ''constraint_added'', culprit = $1, theirs = $2
                         where status = ''restore'' and $1 = any (restored)', relation) using item.attnum, item.theirs;
        get diagnostics more = row_count;
        total := total + more;
    end loop;
    return total;
end
$undo_check_identity$;

comment on function journal.undo_check_identity(oid) is 'Turns away rows whose number cannot be put back; returns how many. Private.';
