-- Fills the work table of one table: one row per image (b before, a after), judged at once against the live rows. What a
-- session touched once, nearly always nearly everything, is final with that; the rest is folded and judged again.
create function journal.undo_load(relation oid) returns void
language plpgsql volatile
as $undo_load$
#variable_conflict use_variable
declare
    counted  bigint;
    standing bigint[];
    hashing  constant text := current_setting('enable_hashjoin');
    loaded   bigint;
begin
    select u.loaded, u.standing into counted, standing from pg_temp.journal_undo u where u.relation = undo_load.relation;
    -- Nothing is known of how the images spread over the table, so the planner would hash the table, which is the larger side, as a whole.
    -- To go through its key, from the first to the last or from one to the next, is never much slower.
    perform set_config('enable_hashjoin', 'off', true);
    execute format('create temporary table %I on commit drop as %s', 'journal_undo_' || relation, journal.undo_judge(relation, format(
        '(select i.place as row_no, 1 as images, i.kind, i.statement_id as first_statement, i.statement_id as last_statement, i.ledger_xmin as xmin_left, null::xid[] as xmins, '
        'i.same_cluster, i.depth, i.changed, null::int2[] as broken, %s from (%s) i)',
        journal.undo_list(relation, 'i.b%1$s, i.a%1$s', ', '), journal.undo_source(relation))));
    get diagnostics loaded = row_count;
    perform set_config('enable_hashjoin', hashing, true);
    if loaded <> counted then
        raise exception using
            errcode = 'JR032', message = format('the journal holds %s images of %s where its ledger counts %s', loaded, journal.qualified_name(relation), counted),
            hint = 'somebody wrote to the journal''s own tables: nothing can be taken back exactly; restore them from a backup';
    end if;
    -- a sample of 300 rows tells the planner how many rows have which status (without, it expects one and loops over the rest), and
    -- that no two have the same key: it hashes them and not the table, which is larger
    perform set_config('default_statistics_target', '1', true);
    execute format('analyze pg_temp.%I (status, kind, depth, restored, %s)', 'journal_undo_' || relation, journal.undo_list(relation, 'b%1$s, a%1$s', ', ', 'key'));
    if journal.undo_identify(relation) then
        perform journal.undo_fold(relation);
    end if;
    if standing <> '{}' then
        execute format('delete from pg_temp.journal_undo_%s d where d.xmins is null and d.first_statement = any ($1)', relation) using standing;
    end if;
    perform journal.undo_reconsider(relation);
end
$undo_load$;

comment on function journal.undo_load(oid) is 'Fills the work table of one table of a rollback. Private.';
