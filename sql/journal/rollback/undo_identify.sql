-- Finds the rows that a session touched more than once: by key, or, where keys changed, by following them. Their images go
-- into a table of their own, with the identity they share, numbered behind all that the work table holds. Returns whether there are any.
create function journal.undo_identify(relation oid) returns boolean
language plpgsql volatile
as $undo_identify$
#variable_conflict use_variable
declare
    args  record;
    moved boolean;
    twice boolean := false;
begin
    select u.loaded, u.standing, u.changed into args from pg_temp.journal_undo u where u.relation = undo_identify.relation;
    moved := args.changed && journal.undo_key_attnums(relation);
    if args.loaded > 1 then
        execute format('select exists (select from pg_temp.%I u group by %s having count(*) > 1)', 'journal_undo_' || relation,
                       journal.undo_list(relation, 'coalesce(u.a%1$s, u.b%1$s)', ', ', 'key')) into twice;
    end if;
    if not moved and not twice then
        return false;
    end if;
    execute format($images$
        create temporary table %1$I on commit drop as
        select i.*, min(i.row_no) over w as identity, count(*) over w as images
          from (select row_number() over (order by i.statement_id) + %4$s as row_no, i.*, i.statement_id = any (%5$L::bigint[]) as standing from (%2$s) i) i
        window w as (partition by %3$s)$images$,
        'journal_image_' || relation, journal.undo_source(relation), journal.undo_list(relation, 'coalesce(i.a%1$s, i.b%1$s)', ', ', 'key'),
        args.loaded, args.standing);
    if moved and exists (select from journal.unique_columns(relation) i where i.primary_key and not i.immediate) then
        execute format('create index on pg_temp.%I (row_no)', 'journal_image_' || relation);
        perform journal.undo_trace_deferrable(relation);
    elsif moved then
        perform journal.undo_trace(relation);
    end if;
    return true;
end
$undo_identify$;

comment on function journal.undo_identify(oid) is 'Finds the rows that a session touched more than once. Private.';
