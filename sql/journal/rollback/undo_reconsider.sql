-- The second look at rows that did not match at the first: those that are as they were before the session already need
-- nothing, whoever put them there; those that somebody wrote after the session are judged by the journal.
create function journal.undo_reconsider(relation oid) returns void
language plpgsql volatile
as $undo_reconsider$
#variable_conflict use_variable
declare
    suspicious boolean;
    moved      constant boolean := exists (select from pg_temp.journal_undo u where u.relation = undo_reconsider.relation and u.changed && journal.undo_key_attnums(relation));
    reshaped   constant boolean := exists (select from pg_temp.journal_undo_column c where c.relation = undo_reconsider.relation and (c.problem is not null or c.as_text or c.image_type is null and not c.generated));
begin
    perform journal.undo_rebase(relation), journal.undo_group(relation);
    suspicious := exists (select from pg_temp.journal_undo_group g where g.relation = undo_reconsider.relation and (g.status = 'conflict' or g.untraced));
    if suspicious then
        execute format('update pg_temp.journal_undo_%1$s u set status = ''noop'', reason = null
                          from %2$s t
                         where u.kind = ''U'' and u.status = ''conflict'' and u.broken is null and %3$s and %4$s is null',
                       relation, journal.undo_rows(relation), journal.undo_key_match(relation, 'u.a%1$s'),
                       journal.undo_differing(relation, 'u.b%s', '%s = any (u.changed)'));
    end if;
    if reshaped then
        perform journal.undo_check_columns(relation);
    end if;
    if suspicious then
        perform journal.undo_trace_others(relation);
    end if;
    if moved then
        perform journal.undo_taken_over(relation);
    end if;
    if suspicious or reshaped or moved then
        perform journal.undo_group(relation);
    end if;
end
$undo_reconsider$;

comment on function journal.undo_reconsider(oid) is 'Looks again at rows that did not match. Private.';
