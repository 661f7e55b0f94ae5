-- The tables that sessions wrote in a transaction in which triggers wrote too: only what was done to these can be in what triggers made.
create function journal.undo_fired(session_ids uuid[], step_ids uuid[]) returns oid[]
language sql stable security definer
set search_path = pg_catalog, pg_temp
begin atomic
    with planned as materialized (
        select p.relation, p.transaction_id, p.depth from journal.undo_planned(undo_fired.session_ids, undo_fired.step_ids) p
    )
    select array(select distinct p.relation from planned p
                  where p.depth <= 1 and p.transaction_id in (select x.transaction_id from planned x where x.depth > 1));
end;

comment on function journal.undo_fired(uuid[], uuid[]) is 'Tables that sessions wrote together with triggers. Private.';
