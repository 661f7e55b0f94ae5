-- The digest of a plan. What the sessions changed is immutable, so the plan is told by how many rows get their usual status,
-- and by the rows that get another, one by one, whatever order the sessions are named or found in. Later work of others that does not change the plan does not change the digest.
create function journal.undo_digest() returns text
language plpgsql volatile
as $undo_digest$
declare
    item  record;
    part  text;
    exceptions numeric;
    whole text := (select format('%s|%s', array(select s from unnest(a.session_ids) s order by s), array(select s from unnest(a.step_ids) s order by s))
                     from pg_temp.journal_undo_args a);
begin
    for item in select u.relation, u.table_name, u.target, u.maintained from pg_temp.journal_undo u order by u.relation loop
        part := (select string_agg(format('%s:%s:%s', g.kind, g.status, g.rows), ',' order by g.kind, g.status)
                   from (select g.kind, g.status, sum(g.rows) as rows from pg_temp.journal_undo_group g where g.relation = item.relation group by 1, 2) g);
        if exists (select from pg_temp.journal_undo_group g where g.relation = item.relation and (g.kind, g.status) not in (('U', 'restore'), ('I', 'remove'), ('D', 'reinsert'), ('N', 'noop'))) then
            execute format($digest$
                select sum(hashtextextended(format('%%s', row(u.kind, u.status, u.reason, u.culprit, u.constraint_name, %1$s)), 0))
                  from pg_temp.journal_undo_%2$s u
                 where (kind, status) not in (('U', 'restore'), ('I', 'remove'), ('D', 'reinsert'), ('N', 'noop'))$digest$,
                journal.undo_list(item.relation, 'u.b%1$s, u.a%1$s', ', ', 'key'), item.relation)
               into exceptions;
            part := part || ':' || exceptions;
        end if;
        whole := format(E'%s\n%s|%s|%s', whole, item.table_name, item.maintained, part);
    end loop;
    return 'sha256:' || encode(sha256(convert_to(whole, 'utf8')), 'hex');
end
$undo_digest$;

comment on function journal.undo_digest() is 'Digest of the plan in the work tables. Private.';
