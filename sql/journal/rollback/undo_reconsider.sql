-- The second look at rows that did not match at the first: those that are as they were before the session already need
-- nothing, whoever put them there; those that somebody wrote after the session are judged by the journal.
create function journal.undo_reconsider(relation oid) returns void
language plpgsql volatile
as $undo_reconsider$
#variable_conflict use_variable
declare
    suspicious boolean;
    met        bigint := 0;  -- deleted rows that met one of the session's own
    reshaped   constant boolean := exists (select from pg_temp.journal_undo_column c where c.relation = undo_reconsider.relation and (c.problem is not null or c.as_text or c.image_type is null and not c.generated));
begin
    perform journal.undo_group(relation);
    if exists (select from pg_temp.journal_undo_group g where g.relation = undo_reconsider.relation and g.untraced) then
        perform journal.undo_trace_displaced(relation), journal.undo_group(relation);
    end if;
    perform journal.undo_rebase(relation);
    suspicious := exists (select from pg_temp.journal_undo_group g where g.relation = undo_reconsider.relation and (g.status = 'conflict' or g.untraced));
    if exists (select from pg_temp.journal_undo_group g where g.relation = undo_reconsider.relation and g.kind = 'U' and g.status = 'conflict')
       and journal.undo_trace_rekeyed(relation) then
        perform journal.undo_group(relation), journal.undo_rebase(relation);
    end if;
    if suspicious then
        execute format('update pg_temp.journal_undo_%1$s u set status = ''noop'', reason = null
                          from %2$s t
                         where u.kind = ''U'' and u.status = ''conflict'' and u.broken is null and %3$s and %4$s is null',
                       relation, journal.undo_rows(relation), journal.undo_key_match(relation, 'u.a%1$s'),
                       journal.undo_differing(relation, 'u.b%s', '%s = any (u.changed)'));
    end if;
    if exists (select from pg_temp.journal_undo u where u.relation = undo_reconsider.relation and (u.removes or u.restored && journal.undo_key_attnums(relation))) then
        -- a deleted row does not meet itself in a row that the session put in its place and the rollback takes away
        execute format('update pg_temp.journal_undo_%1$s u set status = ''reinsert'', reason = null, culprit = null, live = false
                         where u.kind = ''D'' and u.live and u.broken is null and exists (
                               select from pg_temp.journal_undo_%1$s y
                                where y.row_no <> u.row_no and (y.status = ''remove'' or y.status = ''restore'' and y.restored && %2$L) and %3$s)',
                       relation, journal.undo_key_attnums(relation), journal.undo_list(relation, 'y.a%1$s = u.b%1$s', ' and ', 'key'));
        get diagnostics met = row_count;
    end if;
    if reshaped then
        perform journal.undo_check_columns(relation), journal.undo_check_texts(relation);
    end if;
    if suspicious then
        perform journal.undo_trace_others(relation);
    end if;
    if exists (select from pg_temp.journal_undo_group g where g.relation = undo_reconsider.relation and g.kind = 'I' and g.status = 'noop') then
        perform journal.undo_trace_moved(relation);
        met := met + 1;
    end if;
    if exists (select from pg_temp.journal_undo u where u.relation = undo_reconsider.relation and u.reinserts) or met > 0 then
        perform journal.undo_trace_deleted(relation);
        met := met + 1;
    end if;
    if (select a.partial from pg_temp.journal_undo_args a) then
        perform journal.undo_trace_siblings(relation);
        met := met + 1;
    end if;
    if suspicious or reshaped or met > 0 then
        perform journal.undo_group(relation);
    end if;
end
$undo_reconsider$;

comment on function journal.undo_reconsider(oid) is 'Looks again at rows that did not match. Private.';
