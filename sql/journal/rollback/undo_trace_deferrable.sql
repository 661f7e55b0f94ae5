-- undo_trace for a key that is deferrable: until it is checked several rows may stand at one key, so the key alone does not tell which of them an
-- image continues. Inside a transaction it continues the one that was left just so; not one that came to the key in the same
-- statement, unless foreign keys take rows of this table along. What a trigger did to a row of the very statement is recorded before it: then the image
-- goes before the one that began where it ended. Columns that an image does not hold (elided) tell nothing.
create function journal.undo_trace_deferrable(relation oid) returns void
language plpgsql volatile
as $undo_trace_deferrable$
#variable_conflict use_variable
declare
    image    record;
    before   record;
    followed bigint;
    dragged constant boolean := exists (select from journal.undo_foreign_keys(relation) f
                                         where f.child = undo_trace_deferrable.relation and f.on_update not in ('a', 'r') and f.child_attnums && journal.undo_key_attnums(relation));
    holds  constant text := 'array[' || journal.undo_list(relation, 'case when %1$s <> all (coalesce(u.elided, ''{}'')) then coalesce(''='' || case when u.%%1$s%1$s is not null then pg_catalog.format(''%%%%s'', u.%%1$s%1$s) end, '''') end', ', ') || ']::text[]';
begin
    create temporary table journal_stands (row_key text, identity bigint, transaction_id xid8, came_by bigint, gone boolean, holds text[], depth smallint, began_at text, began text[]) on commit drop;
    create index on pg_temp.journal_stands (row_key);
    create index on pg_temp.journal_stands (began_at);
    for image in execute format('select u.row_no, u.transaction_id, u.statement_id, u.kind, u.depth, format(''%%s'', row(%1$s)) as before_key, format(''%%s'', row(%2$s)) as after_key, %3$s as before, %4$s as after from pg_temp.%5$I u order by u.row_no',
                                journal.undo_list(relation, 'u.b%1$s', ', ', 'key'), journal.undo_list(relation, 'u.a%1$s', ', ', 'key'), format(holds, 'b'), format(holds, 'a'), 'journal_image_' || relation)
    loop
        delete from pg_temp.journal_stands d
         where d.ctid = (
               select s.ctid from pg_temp.journal_stands s
                where s.row_key = case image.kind when 'I' then image.after_key else image.before_key end and s.gone = (image.kind = 'I')
                  and (s.came_by is distinct from image.statement_id or dragged)
                  and (s.gone or s.transaction_id <> image.transaction_id or not exists (select from unnest(s.holds, image.before) as h (theirs, ours) where h.theirs <> h.ours))
                order by s.identity desc limit 1)
        returning d.* into before;
        if before.identity is null then
            update pg_temp.journal_stands s
               set depth = image.depth, began_at = case when image.kind = 'U' then image.before_key end, began = image.before
             where s.ctid = (
                   select s.ctid from pg_temp.journal_stands s
                    where s.began_at = image.after_key and image.kind <> 'D' and s.depth > image.depth and s.transaction_id = image.transaction_id
                      and not exists (select from unnest(s.began, image.after) as h (theirs, ours) where h.theirs <> h.ours)
                    order by s.identity desc limit 1)
            returning s.identity into followed;
            if found then
                execute format('update pg_temp.%I set identity = $1 where row_no = $2', 'journal_image_' || relation) using followed, image.row_no;
                continue;
            end if;
        end if;
        insert into pg_temp.journal_stands
        values (case image.kind when 'D' then image.before_key else image.after_key end, coalesce(before.identity, image.row_no), image.transaction_id,
                case when image.before_key <> image.after_key then image.statement_id end, image.kind = 'D', image.after,
                case when before.transaction_id = image.transaction_id then before.depth else image.depth end,
                case when before.transaction_id = image.transaction_id then before.began_at when image.kind <> 'I' then image.before_key end,
                case when before.transaction_id = image.transaction_id then before.began else image.before end);
        execute format('update pg_temp.%I set identity = $1 where row_no = $2', 'journal_image_' || relation) using coalesce(before.identity, image.row_no), image.row_no;
    end loop;
    drop table pg_temp.journal_stands;
    execute format('update pg_temp.%1$I u set images = c.images from (select identity, count(*) as images from pg_temp.%1$I group by identity) c where c.identity = u.identity',
                   'journal_image_' || relation);
end
$undo_trace_deferrable$;

comment on function journal.undo_trace_deferrable(oid) is 'Follows rows through changed keys of which several rows may have one for a time. Private.';
