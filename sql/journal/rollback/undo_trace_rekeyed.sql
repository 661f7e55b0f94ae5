-- Rows that a session updated and that are not where it left them, because others gave them another key: they are followed to
-- it, through further keys too, and judged there. Where others changed what the session changed before they moved the row, or
-- the session had changed the key itself, it is a conflict; not where a rollback of the session's put the key back. Returns whether any row was found.
create function journal.undo_trace_rekeyed(relation oid) returns boolean
language plpgsql volatile
as $undo_trace_rekeyed$
#variable_conflict use_variable
declare
    work     constant text := 'journal_undo_' || relation;
    attnums  constant int2[] := journal.undo_key_attnums(relation);
    row_key  constant text := 'pg_catalog.format(''%s'', row(' || journal.undo_list(relation, 'u.a%1$s', ', ', 'key') || '))';
    missing  constant text := 'u.kind = ''U'' and not u.live and u.reason = ''deleted_since''';
    followed constant text := 'u.kind = ''U'' and not u.live and u.reason in (''deleted_since'', ''changed_and_back'')';
    found_any boolean := false;
    keys    text[];
    since   bigint;
    moved   bigint;
begin
    for round in 1 .. 100 loop  -- until they are moved no further
        execute format('select array_agg(%s), min(coalesce(their_statement, last_statement)) from pg_temp.%I u where %s', row_key, work, followed) into keys, since;
        exit when keys is null;
        execute format($move$
            with other as materialized (
                select o.* from pg_temp.journal_undo_args a, journal.undo_others(%1$s, a.session_ids, a.step_ids, $1, $2) o
            ), move as (
                select distinct on (u.row_no) u.row_no, u.restored, u.changed, %8$s as adjusted, coalesce(u.their_statement, u.last_statement) as since, m.row_key, m.statement_id, m.moved_to, m.family
                  from pg_temp.%3$I u
                  join other m on m.row_key = %4$s and m.moved_to is not null and m.statement_id > coalesce(u.their_statement, u.last_statement)
                 where %5$s
                 order by u.row_no, m.statement_id
            ), meddled as (
                select m.row_no, min(c.attnum) as attnum
                  from move m
                  join other o on not o.family and o.row_key = m.row_key and o.statement_id > m.since and o.statement_id < m.statement_id
                 cross join lateral unnest(case when o.whole then m.changed else o.changed end) as c (attnum)
                 where c.attnum = any (m.restored) and c.attnum <> all (m.adjusted)
                 group by m.row_no
            ), step as (
                select m.row_no, m.statement_id, m.moved_to, m.restored && %2$L and not m.family as keyed, w.attnum as meddled
                  from move m left join meddled w using (row_no)
            )
            update pg_temp.%3$I u
               set their_statement = s.statement_id, reason = case when s.keyed then 'changed_since' when s.meddled is not null then 'changed_and_back' else u.reason end,
                   culprit = case when s.keyed then %6$s else coalesce(s.meddled, u.culprit) end, theirs = case when s.keyed then array_to_string(s.moved_to, ', ') end, image_key = coalesce(u.image_key, %9$s), %7$s
              from step s
             where s.row_no = u.row_no$move$,
            relation, attnums, work, row_key, followed, attnums[1],
            (select string_agg(format('a%1$s = case when s.keyed then u.a%1$s else s.moved_to[%2$s]::%3$s end, b%1$s = case when u.restored && %4$L then u.b%1$s else s.moved_to[%2$s]::%3$s end', c.attnum, c.key_position, c.image_type, attnums), ', ')
               from pg_temp.journal_undo_column c where c.relation = undo_trace_rekeyed.relation and c.key_position is not null),
            journal.undo_adjusted(relation), journal.undo_image_key(relation))
        using since, keys;
        get diagnostics moved = row_count;
        exit when moved = 0;
        found_any := true;
    end loop;
    if found_any then
        execute format('update pg_temp.%1$I u
                           set live = true, live_xmin = t.xmin, traced = false, last_statement = their_statement - 1, their_statement = null, culprit = %2$s,
                               status = case when %2$s is null then ''restore'' else ''conflict'' end, reason = case when %2$s is not null then ''changed_since'' end
                          from %3$s t
                         where %4$s and u.their_statement is not null and %5$s',
                       work, journal.undo_differing(relation, 'u.a%s', '%s = any (u.changed)'), journal.undo_rows(relation), missing, journal.undo_key_match(relation, 'u.a%1$s'));
        -- where the session came again, not knowing it by another key, it is one row twice: restored whole or left whole, and what is between is not known
        execute format('update pg_temp.%1$I d set status = ''conflict'', reason = ''changed_since'', culprit = coalesce(d.culprit, d.restored[1]),
                               their_statement = coalesce(d.their_statement, case when d.image_key is not null then d.last_statement else u.last_statement end + 1)
                          from pg_temp.%1$I u
                         where u.row_no <> d.row_no and coalesce(u.image_key, d.image_key) is not null and d.kind = ''U'' and d.status = ''restore''
                           and u.kind = ''U'' and (u.live or u.reason = ''changed_and_back'') and u.status in (''restore'', ''conflict'') and %2$s',
                       work, journal.undo_list(relation, 'd.a%1$s = u.a%1$s', ' and ', 'key'));
        -- a row that the session deleted there is the same one: it is left whole too
        execute format('update pg_temp.%1$I d set status = ''conflict'', reason = ''changed_since'', their_statement = u.their_statement
                          from pg_temp.%1$I u
                         where d.kind = ''D'' and d.status = ''reinsert'' and u.their_statement is not null and %2$s and %3$s',
                       work, followed, journal.undo_list(relation, 'd.b%1$s = u.a%1$s', ' and ', 'key'));
        -- and what the session did to a row where others had put it, after it had changed the key itself
        execute format('update pg_temp.%1$I d set status = ''conflict'', reason = ''changed_since'', their_statement = u.their_statement, live = false
                          from pg_temp.%1$I u
                         where d.kind in (''U'', ''D'') and d.status in (''restore'', ''reinsert'') and d.first_statement > u.their_statement
                           and u.kind = ''U'' and not u.live and u.reason = ''changed_since'' and u.theirs = concat_ws('', '', %2$s)',
                       work, journal.undo_list(relation, 'd.b%1$s', ', ', 'key'));
    end if;
    return found_any;
end
$undo_trace_rekeyed$;

comment on function journal.undo_trace_rekeyed(oid) is 'Follows rows to which others gave another key. Private.';
