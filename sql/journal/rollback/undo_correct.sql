-- What the rollback put back fires the user's triggers, and they may write rows that it put back too: parts that return are
-- added to the total of a whole that already has it. Once the triggers have run, what is not as meant is corrected: only the
-- difference is written, and only to rows that are this transaction's by now: nobody else's row is met here. Not where a part is left: then the
-- whole as it was would be wrong, and it is found not to be as meant.
create function journal.undo_correct(relation oid) returns void
language plpgsql volatile
as $undo_correct$
#variable_conflict use_variable
declare
    rows   constant text := journal.undo_rows(relation);
    item   record;
begin
    if exists (select from pg_temp.journal_undo u where u.relation = undo_correct.relation and u.removes) then
        perform journal.undo_execute(format(
            'delete from %1$s t using pg_temp.journal_undo_%2$s u where u.status operator(pg_catalog.=) ''remove'' and %3$s and journal.undo_is_ours(t.xmin)'
            ' and not exists (select from pg_temp.journal_undo_%2$s z where z.status operator(pg_catalog.=) any (''{restore,reinsert}'') and %4$s)',
            rows, relation, journal.undo_key_match(relation, 'u.a%1$s'), journal.undo_key_match(relation, 'coalesce(z.b%1$s, z.a%1$s)')));
    end if;
    for item in
        select g.status, g.restored, string_agg(format('%s = %s', c.name, journal.undo_value('u.b' || c.attnum, c.as_text, c.live_type)), ', ') as assigned,
               string_agg(journal.undo_live('t', c.name, c.as_text, c.live_type, c.base_type), ', ' order by c.attnum) as live,
               string_agg('u.b' || c.attnum, ', ' order by c.attnum) as meant
          from (select distinct g.status, g.restored from pg_temp.journal_undo_group g
                 where g.relation = undo_correct.relation and g.status in ('restore', 'reinsert')) g
          join pg_temp.journal_undo_column c on c.relation = undo_correct.relation
          join pg_attribute a on a.attrelid = c.relation and a.attnum = c.attnum
         where c.image_type is not null and c.problem is null and not c.generated and c.key_position is null and a.attidentity <> 'a'
           and c.attnum <> all (journal.undo_maintained(relation)) and (g.status = 'reinsert' or c.attnum = any (g.restored))
         group by g.status, g.restored
    loop
        perform journal.undo_execute(format(
            'update %s t set %s from pg_temp.journal_undo_%s u where u.status operator(pg_catalog.=) %L and %s and %s and pg_catalog.record_image_ne(row(%s), row(%s)) and journal.undo_is_ours(t.xmin)%s',
            rows, item.assigned, relation, item.status, case when item.status = 'restore' then format('u.restored operator(pg_catalog.=) %L::int2[]', item.restored) else 'true' end,
            journal.undo_key_match(relation, 'coalesce(u.b%1$s, u.a%1$s)'), item.live, item.meant, journal.undo_without_parts(relation)));
    end loop;
end
$undo_correct$;

comment on function journal.undo_correct(oid) is 'Corrects what triggers made of the rows that a rollback put back. Private.';
