-- Moves what a session did to counters on to where they stand now: the row gets back what it has less what the session added,
-- whatever others added since. Values that are or were NULL have no difference; they are compared like any other.
create function journal.undo_rebase(relation oid) returns void
language plpgsql volatile
as $undo_rebase$
#variable_conflict use_variable
begin
    if not exists (select from pg_temp.journal_undo u where u.relation = undo_rebase.relation and u.changed && journal.undo_counters(relation)) then
        return;
    end if;
    execute (
        select format($rebase$
            update pg_temp.journal_undo_%1$s u set %2$s
              from %3$s t
             where %4$s and u.kind = 'U' and u.live and u.broken is null and u.restored && %5$L$rebase$,
            relation,
            string_agg(format('b%1$s = case when %1$s = any (u.restored) and u.a%1$s - u.b%1$s is not null and t.%2$s is not null then t.%2$s - (u.a%1$s - u.b%1$s) else u.b%1$s end, '
                              'a%1$s = case when %1$s = any (u.restored) and u.a%1$s - u.b%1$s is not null and t.%2$s is not null then t.%2$s else u.a%1$s end', c.attnum, c.name), ', '),
            journal.undo_rows(relation), journal.undo_key_match(relation, 'u.a%1$s'), journal.undo_counters(relation))
          from pg_temp.journal_undo_column c
         where c.relation = undo_rebase.relation and c.attnum = any (journal.undo_counters(relation)));
    execute format('update pg_temp.journal_undo_%1$s u set status = ''restore'', reason = null, culprit = null
                      from %2$s t
                     where %3$s and u.kind = ''U'' and u.live and u.reason = ''changed_since'' and u.broken is null and u.culprit = any (%4$L) and u.their_statement is null and %5$s is null',
                   relation, journal.undo_rows(relation), journal.undo_key_match(relation, 'u.a%1$s'), journal.undo_counters(relation),
                   journal.undo_differing(relation, 'u.a%s', '%s = any (u.changed)'));
    perform journal.undo_group(relation);
end
$undo_rebase$;

comment on function journal.undo_rebase(oid) is 'Moves changes of counters on to where these stand now. Private.';
