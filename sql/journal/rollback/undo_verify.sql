-- Verifies, in a later statement than those that wrote, that what is stored is what was meant: BEFORE and AFTER triggers
-- may have had other ideas. Rows that are not as meant become conflicts (trigger_rewrote); returns how many.
create function journal.undo_verify() returns bigint
language plpgsql volatile
as $undo_verify$
declare
    item  record;
    more  bigint;
    total bigint := 0;
begin
    for item in select u.relation, u.target from pg_temp.journal_undo u where u.target is not null order by u.relation loop
        execute format($verify$
            update pg_temp.journal_undo_%1$s u
               set status = 'conflict', reason = 'trigger_rewrote', culprit = v.culprit
              from (select u.row_no, case when t.ctid is not null then coalesce(%2$s) end as culprit
                      from pg_temp.journal_undo_%1$s u
                      left join only %3$s t on %4$s
                     where u.status = 'remove' and t.ctid is not null
                        or u.status in ('restore', 'reinsert') and (t.ctid is null or coalesce(%2$s) is not null)) v
             where v.row_no = u.row_no$verify$,
            item.relation,
            coalesce(nullif(journal.undo_list(item.relation, 'case when (u.kind = ''D'' or %1$s = any (u.changed)) and pg_catalog.record_image_ne(row(%5$s), row(u.b%1$s)) then %1$s::int2 end', ', ', 'guard'), ''), 'null::int2'),
            item.target, journal.undo_key_match(item.relation, 'case when u.kind = ''I'' then u.a%1$s else u.b%1$s end'));
        get diagnostics more = row_count;
        total := total + more;
    end loop;
    return total;
end
$undo_verify$;

comment on function journal.undo_verify() is 'Compares what a rollback stored with what it meant; returns how many rows differ. Private.';
