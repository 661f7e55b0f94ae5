-- The digest of a plan: what would be done to which row, and from what to what. Later work of others that does not change
-- the plan does not change the digest.
create function journal.undo_digest() returns text
language plpgsql volatile
as $undo_digest$
declare
    item  record;
    part  text;
    whole text := '';
begin
    for item in select u.relation, u.table_name, u.target from pg_temp.journal_undo u order by u.relation loop
        continue when item.target is null;
        execute format('select concat_ws(''|'', count(*), sum(hashtextextended(format(''%%s'', row(u.kind, u.status, u.reason, u.changed, %s)), 0))) from pg_temp.journal_undo_%s u',
                       journal.undo_list(item.relation, 'u.b%1$s, u.a%1$s', ', '), item.relation)
           into part;
        whole := whole || item.table_name || '|' || part || E'\n';
    end loop;
    return 'sha256:' || encode(sha256(convert_to(whole, 'utf8')), 'hex');
end
$undo_digest$;

comment on function journal.undo_digest() is 'Digest of the plan in the work tables. Private.';
