-- Condition: the live row (alias x) of a table gives up its values in the given columns, because the rollback removes it
-- or changes one of them. False for tables that are not under rollback.
create function journal.undo_leaving(relation oid, attnums int2[]) returns text
language plpgsql stable
as $undo_leaving$
#variable_conflict use_variable
begin
    return (
        select coalesce((
            select pg_catalog.format('exists (select from pg_temp.journal_undo_%s y where (y.status = ''remove'' or y.status = ''restore'' and y.restored && %L) and %s)',
                                     u.relation, attnums, journal.undo_key_match(u.relation, 'y.a%1$s', 'x'))
              from pg_temp.journal_undo u where u.relation = undo_leaving.relation and u.target is not null), 'false')
    );
end
$undo_leaving$;

comment on function journal.undo_leaving(oid, int2[]) is 'SQL text: the rollback takes the given values away from the live row x. Private.';
