-- Finds the rows that a session touched more than once: by key, or, where keys changed, by following them. Returns whether
-- there are any.
create function journal.undo_identify(relation oid) returns boolean
language plpgsql volatile
as $undo_identify$
#variable_conflict use_variable
declare
    work  text := 'journal_undo_' || relation;
    keys  text := journal.undo_list(relation, 'coalesce(u.a%1$s, u.b%1$s)', ', ', 'key');
    twice boolean;
begin
    if (select u.changed && journal.undo_key_attnums(relation) from pg_temp.journal_undo u where u.relation = undo_identify.relation) then
        perform journal.undo_trace(relation);
        return true;
    end if;
    execute format('select exists (select from pg_temp.%I u group by %s having count(*) > 1)', work, keys) into twice;
    if twice then
        execute format('update pg_temp.%1$I u set identity = w.identity, images = w.images
                          from (select u.row_no, min(u.row_no) over key as identity, count(*) over key as images from pg_temp.%1$I u window key as (partition by %2$s)) w
                         where w.row_no = u.row_no and w.images > 1', work, keys);
    end if;
    return twice;
end
$undo_identify$;

comment on function journal.undo_identify(oid) is 'Finds the rows that a session touched more than once. Private.';
