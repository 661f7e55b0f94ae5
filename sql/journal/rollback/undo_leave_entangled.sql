-- Rows that triggers keep are conflicts where others wrote them in a transaction in which they also wrote a row of the session's, after it had:
-- what triggers made of their work there goes when the session's row goes back, and is in what the session found when it came again. No
-- value is right for both. Returns whether there were any.
create function journal.undo_leave_entangled() returns boolean
language plpgsql volatile
as $undo_leave_entangled$
declare
    since  constant bigint := (select min(u.first_statement) - 1 from pg_temp.journal_undo u);
    kept   constant oid[] := array(select u.relation from pg_temp.journal_undo u where u.target is not null and journal.undo_by_triggers(u.relation));
    theirs bigint[] := array(select m.statement_id from unnest(kept) as k (relation) cross join lateral journal.undo_met(k.relation, true, since) m);
    item   oid;
    more   bigint;
    turned boolean := false;
begin
    if theirs <> '{}' then
        theirs := journal.undo_same_transaction(theirs, array(
            select m.statement_id from unnest(journal.undo_firing()) as f (relation) cross join lateral journal.undo_met(f.relation, false, since) m));
    end if;
    if coalesce(theirs, '{}') = '{}' then
        return false;
    end if;
    foreach item in array kept loop
        execute format(
            'update pg_temp.journal_undo_%1$s u set status = ''conflict'', reason = ''changed_since'', forced = false, their_statement = m.statement_id, culprit = coalesce(u.culprit, u.changed[1])
               from (select row_key, max(statement_id) as statement_id from journal.undo_met(%1$s, true, $1) where statement_id = any ($2) group by row_key) m
              where u.depth <> 1 and u.status in (''restore'', ''remove'', ''reinsert'') and pg_catalog.format(''%%s'', row(%2$s)) = m.row_key',
            item, journal.undo_list(item, 'coalesce(u.a%1$s, u.b%1$s)', ', ', 'key'))
        using since, theirs;
        get diagnostics more = row_count;
        if more > 0 then
            turned := true;
            perform journal.undo_group(item);
        end if;
    end loop;
    return turned;
end
$undo_leave_entangled$;

comment on function journal.undo_leave_entangled() is 'Leaves rows that triggers keep where others'' work on rows of the session is in them. Private.';
