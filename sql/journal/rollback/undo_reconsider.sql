-- The second look at rows that did not match at the first: those that are as they were before the session already need
-- nothing, whoever put them there.
create function journal.undo_reconsider(relation oid) returns void
language plpgsql volatile
as $undo_reconsider$
#variable_conflict use_variable
declare
    suspicious boolean;
begin
    execute format('select exists (select from pg_temp.journal_undo_%s where kind = ''U'' and status = ''conflict'' and live and broken = ''{}'')', relation) into suspicious;
    if suspicious then
        execute format('update pg_temp.journal_undo_%1$s u set status = ''noop'', reason = null
                          from only %2$s t
                         where u.kind = ''U'' and u.status = ''conflict'' and u.broken = ''{}'' and %3$s and %4$s is null',
                       relation, journal.qualified_name(relation), journal.undo_key_match(relation, 'u.a%1$s'),
                       journal.undo_differing(relation, 'u.b%s', '%s = any (u.changed)'));
    end if;
    perform journal.undo_check_columns(relation);
    perform journal.undo_trace_others(relation);
end
$undo_reconsider$;

comment on function journal.undo_reconsider(oid) is 'Looks again at rows that did not match. Private.';
