-- The record of a rollback: the row in journal.rollback with its report, and what it left, one row each, to tick off.
create function journal.undo_record(report jsonb, step_ids uuid[], conflicts jsonb, residue jsonb) returns void
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
as $undo_record$
begin
    perform journal.undo_check_bound((report ->> 'rollback_id')::uuid);
    insert into journal.rollback (rollback_id, session_ids, step_ids, on_conflict, reason, db_user, db_role, started_at, applied_at, plan_digest, report)
    values ((report ->> 'rollback_id')::uuid, array(select (s ->> 'session_id')::uuid from jsonb_array_elements(report -> 'sessions') s), undo_record.step_ids,
            report ->> 'on_conflict', report ->> 'reason', session_user, journal.caller(), (report ->> 'started_at')::timestamptz,
            (report ->> 'finished_at')::timestamptz, report ->> 'plan_digest', report);
    with tables as (  -- by the catalog: a definer function may not enter every schema by name
        select k.oid::regclass as relation, format('%I.%I', n.nspname, k.relname) as table_name
          from pg_class k join pg_namespace n on n.oid = k.relnamespace
    ), columns as (  -- by number: a name may belong to another column tomorrow, with other readers
        select t.relation, t.table_name, quote_ident(a.attname) as name, a.attnum
          from tables t join pg_attribute a on a.attrelid = t.relation and a.attnum > 0 and not a.attisdropped
         where t.table_name in (select c ->> 'table' from jsonb_array_elements(conflicts) c)
    )
    insert into journal.residue_item (residue_id, rollback_id, kind, relation, table_name, key, key_attnums, column_name, attnum, reason, base, ours, theirs,
                                      their_session_id, their_user, their_at)
    select outbox.uuid7(), (report ->> 'rollback_id')::uuid, 'row', t.relation, c ->> 'table', c -> 'key',
           array(select k.attnum from jsonb_object_keys(case jsonb_typeof(c -> 'key') when 'object' then c -> 'key' else '{}' end) as part (name)
                   left join columns k on k.relation = t.relation and k.name = part.name),
           c ->> 'column', (select k.attnum from columns k where k.relation = t.relation and k.name = c ->> 'column' and c ->> 'reason' <> 'column_dropped'),
           c ->> 'reason', c -> 'base', c -> 'ours', c -> 'theirs', (c #>> '{their,session_id}')::uuid, c #>> '{their,db_user}',
           (c #>> '{their,at}')::timestamptz
      from jsonb_array_elements(conflicts) c
      left join tables t on t.table_name = c ->> 'table'
     where not coalesce((c ->> 'forced')::boolean, false);
    insert into journal.residue_item (residue_id, rollback_id, kind, key, reason, message_id, destination)
    select outbox.uuid7(), (report ->> 'rollback_id')::uuid, m ->> 'kind', to_jsonb(m ->> 'key'), m ->> 'reason', (m ->> 'message_id')::uuid,
           (select string_agg(d, ', ') from jsonb_array_elements_text(m -> 'destinations') d)
      from jsonb_array_elements(residue) m;
end
$undo_record$;

comment on function journal.undo_record(jsonb, uuid[], jsonb, jsonb) is 'Records a rollback and its residue. Private.';
