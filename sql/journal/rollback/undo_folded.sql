-- The image columns of a folded row. A key that did not change stands in no net change: it is taken from the images. Where
-- others changed a counter in between, what the session added is the sum of its own differences; of a row that it deleted in the
-- end, what is left of that sum is what others have there.
create function journal.undo_folded(relation oid) returns text
language plpgsql stable
as $undo_folded$
#variable_conflict use_variable
begin
    return (
        select pg_catalog.string_agg(
                   case when c.attnum = any (journal.undo_counters(relation))
                        then pg_catalog.format('case when f.was_there then coalesce((-w.d%1$s)::%2$s, f.b%1$s) else f.b%1$s end as b%1$s, coalesce((f.b%1$s + w.d%1$s)::%2$s, f.a%1$s) as a%1$s', c.attnum, c.image_type)
                        when c.key_position is null then pg_catalog.format('f.b%1$s as b%1$s, f.a%1$s as a%1$s', c.attnum)
                        else pg_catalog.format('case when %1$s = any (f.changed) then f.b%1$s else w.k%1$s end as b%1$s, case when %1$s = any (f.changed) then f.a%1$s else w.k%1$s end as a%1$s', c.attnum) end,
                   ', ' order by c.attnum)
          from pg_temp.journal_undo_column c
         where c.relation = undo_folded.relation and c.carried
    );
end
$undo_folded$;

comment on function journal.undo_folded(oid) is 'SQL text of the image columns of a folded row. Private.';
