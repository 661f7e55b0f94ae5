-- Verifies, in a later statement than those that wrote, that what is stored is what was meant: BEFORE and AFTER triggers
-- may have had other ideas. Rows that are not as meant become conflicts (trigger_rewrote); returns how many. At the
-- key of a removed row another one may be back by now.
create function journal.undo_verify() returns bigint
language plpgsql volatile
as $undo_verify$
declare
    item  record;
    more  bigint;
    total bigint := 0;
begin
    for item in select u.relation, u.target, u.changed && journal.undo_key_attnums(u.relation) as moved from pg_temp.journal_undo u where u.target is not null order by u.relation loop
        execute format($verify$
            update pg_temp.journal_undo_%1$s u
               set status = 'conflict', reason = 'trigger_rewrote', culprit = v.culprit
              from (select u.row_no, u.status, t.ctid is not null as there, case when t.ctid is not null then %2$s end as culprit
                      from pg_temp.journal_undo_%1$s u
                      left join %3$s t on %4$s
                     where u.status in ('remove', 'restore', 'reinsert')
                    offset 0) v
             where v.row_no = u.row_no and (v.culprit is not null and v.status <> 'remove' or v.there = (v.status = 'remove'))%5$s$verify$,
            item.relation, journal.undo_differing(item.relation, 'u.b%s', '(u.kind <> ''U'' or %s = any (u.changed))'),
            journal.undo_rows(item.relation), journal.undo_key_match(item.relation, 'coalesce(u.b%1$s, u.a%1$s)'),
            case when item.moved then format(' and not (v.status = ''remove'' and exists (select from pg_temp.journal_undo_%s w where w.status in (''restore'', ''reinsert'') and %s))',
                                             item.relation, journal.undo_list(item.relation, 'w.b%1$s = u.a%1$s', ' and ', 'key')) else '' end);
        get diagnostics more = row_count;
        total := total + more;
    end loop;
    return total;
end
$undo_verify$;

comment on function journal.undo_verify() is 'Compares what a rollback stored with what it meant; returns how many rows differ. Private.';
