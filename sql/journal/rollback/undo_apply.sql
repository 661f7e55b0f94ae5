-- Applies a plan. Changed keys first, in statements of their own, where they need not go with the rest (inline); rows that swap unique values are
-- parked. Then everything that the sessions did themselves, in one
-- statement: foreign keys are checked at its end, so the order of tables does not matter. Keys that
-- only then are free come next, with the rest of their rows. Then what triggers did for them
-- (depth above 1): by now the triggers have mostly undone it, and only the difference is written. Not complete: fewer rows were
-- written than planned, so somebody was there in between. Verified: each row was written once, came back from that as it was meant,
-- and nothing else can have written it.
create function journal.undo_apply(out complete boolean, out verified boolean)
language plpgsql volatile
as $undo_apply$
declare
    item     record;
    planned  constant bigint := (select sum(g.rows) from pg_temp.journal_undo_group g
                                  where g.status in ('remove', 'reinsert') or g.status = 'restore' and cardinality(g.restored) > 0);
    written  bigint;
    as_meant bigint;
    moved    oid[] := '{}';
    late     oid[] := '{}';
    thorough constant boolean := (select a.thorough from pg_temp.journal_undo_args a);
begin
    if thorough then  -- otherwise no key and no unique value changes (undo_moves)
        update pg_temp.journal_undo u set inline = journal.undo_moves_inline(u.relation) where u.target is not null;
        perform journal.undo_widen(u.relation) from pg_temp.journal_undo u where u.target is not null;
        if (select a.releasing from pg_temp.journal_undo_args a) then
            perform journal.undo_release(u.relation) from pg_temp.journal_undo u where u.target is not null;
        end if;
        for item in select u.relation, u.inline from pg_temp.journal_undo u where u.target is not null order by u.relation loop
            if item.inline or journal.undo_apply_keys(item.relation, false) then
                moved := moved || item.relation;
            else
                late := late || item.relation;
            end if;
            perform journal.undo_park(item.relation), journal.undo_make_way(item.relation);
        end loop;
        for item in select u.relation from pg_temp.journal_undo u where u.target is not null order by u.relation loop
            perform journal.undo_follow(item.relation, moved);
        end loop;
    end if;
    select * into written, as_meant from journal.undo_apply_rows(false);
    complete := thorough or written is not distinct from coalesce(planned, 0);
    if not complete then
        return;
    end if;
    if late <> '{}' then
        perform journal.undo_apply_keys(l.relation, true) from unnest(late) as l (relation);
        perform journal.undo_follow(u.relation, late) from pg_temp.journal_undo u where u.target is not null;
        perform journal.undo_apply_rows(false, '{restore}');
    end if;
    perform journal.undo_apply_rows(true);
    if journal.undo_stirs_triggers() then
        perform journal.undo_correct(u.relation) from pg_temp.journal_undo u where u.target is not null;
    end if;
    verified := not thorough and journal.undo_writes_alone()
            and as_meant = (select sum(g.rows) from pg_temp.journal_undo_group g where g.status in ('remove', 'restore', 'reinsert'));
end
$undo_apply$;

comment on function journal.undo_apply() is 'Applies the plan in the work tables: whether completely, and whether that verified it too. Private.';
