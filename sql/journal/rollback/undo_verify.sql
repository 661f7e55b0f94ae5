-- Verifies, in a later statement than those that wrote, that what is stored is what was meant: BEFORE and AFTER triggers
-- may have had other ideas. Not needed where undo_apply could tell. Rows that are not as meant become conflicts (trigger_rewrote); returns how many. At the
-- key of a removed row another one may be back by now.
create function journal.undo_verify() returns bigint
language plpgsql volatile
as $undo_verify$
declare
    item  record;
    more  bigint;
    total bigint := 0;
begin
    for item in select u.relation, u.removes and (u.reinserts or u.restored && journal.undo_key_attnums(u.relation)) as replaces
                  from pg_temp.journal_undo u where u.target is not null order by u.relation loop
        execute format($verify$
            update pg_temp.journal_undo_%1$s u
               set status = 'conflict', reason = 'trigger_rewrote', culprit = v.culprit
              from (select u.row_no, u.status, t.ctid is not null%5$s as there, case when t.ctid is not null then %2$s end as culprit
                      from pg_temp.journal_undo_%1$s u
                      left join %3$s t on %4$s
                     where u.status in ('remove', 'restore', 'reinsert')
                    offset 0) v
             where v.row_no = u.row_no and (v.culprit is not null and v.status <> 'remove' or v.there = (v.status = 'remove'))$verify$,
            item.relation, journal.undo_differing(item.relation, 'u.b%s', '(u.kind <> ''U'' or %s = any (u.changed || u.restored))'),
            journal.undo_rows(item.relation), journal.undo_key_match(item.relation, 'coalesce(u.b%1$s, u.a%1$s)'),
            -- what stands under the key of a removed row may be another one that the rollback has put there
            case when item.replaces then format(' and not (u.status = ''remove'' and exists (select from pg_temp.journal_undo_%s z where z.status in (''restore'', ''reinsert'') and z.row_no <> u.row_no and %s))',
                                                item.relation, journal.undo_list(item.relation, 'z.b%1$s = u.a%1$s', ' and ', 'key')) else '' end);
        get diagnostics more = row_count;
        total := total + more;
    end loop;
    return total;
end
$undo_verify$;

comment on function journal.undo_verify() is 'Compares what a rollback stored with what it meant; returns how many rows differ. Private.';
