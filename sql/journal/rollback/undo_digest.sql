-- The digest of a plan. What the sessions changed is immutable, so the plan is told by how many rows get their usual status,
-- and by the rows that get another, one by one. Later work of others that does not change the plan does not change the digest.
create function journal.undo_digest() returns text
language plpgsql volatile
as $undo_digest$
declare
    item  record;
    part  text;
    whole text := (select format('%s|%s', a.session_ids, a.step_ids) from pg_temp.journal_undo_args a);
begin
    for item in select u.relation, u.table_name, u.target, u.maintained from pg_temp.journal_undo u order by u.relation loop
        if item.target is not null then
            execute format($digest$
                select concat_ws('|', count(*), count(*) filter (where kind = 'U'), count(*) filter (where kind = 'I'), count(*) filter (where kind = 'D'),
                                 sum(hashtextextended(format('%%s', row(u.kind, u.status, u.reason, u.culprit, u.constraint_name, %1$s)), 0))
                                     filter (where (kind, status) not in (('U', 'restore'), ('I', 'remove'), ('D', 'reinsert'), ('N', 'noop'))))
                  from pg_temp.journal_undo_%2$s u$digest$, journal.undo_list(item.relation, 'u.b%1$s, u.a%1$s', ', ', 'key'), item.relation)
               into part;
        end if;
        whole := format(E'%s\n%s|%s|%s', whole, item.table_name, item.maintained, part);
    end loop;
    return 'sha256:' || encode(sha256(convert_to(whole, 'utf8')), 'hex');
end
$undo_digest$;

comment on function journal.undo_digest() is 'Digest of the plan in the work tables. Private.';
