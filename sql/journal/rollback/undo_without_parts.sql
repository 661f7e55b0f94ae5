-- SQL text: none of the rows that refer to row u, and whose triggers may write it, is left as it is.
create function journal.undo_without_parts(relation oid) returns text
language plpgsql stable
as $undo_without_parts$
begin
    return coalesce((
        select string_agg(format(' and not exists (select from pg_temp.journal_undo_%s z where z.status operator(pg_catalog.=) ''conflict'' and %s)', f.child, c.same), '')
          from journal.undo_foreign_keys(undo_without_parts.relation) f
         cross join lateral (
               select string_agg(format('pg_catalog.format(''%%s'', z.b%s) operator(pg_catalog.=) pg_catalog.format(''%%s'', u.b%s)', k.child, k.parent), ' and ') as same,
                      bool_and(exists (select from pg_temp.journal_undo_column x where x.relation = f.child and x.attnum = k.child and x.carried)
                               and exists (select from pg_temp.journal_undo_column x where x.relation = f.parent and x.attnum = k.parent and x.carried)) as known
                 from unnest(f.child_attnums, f.parent_attnums) as k (child, parent)) c
         where f.parent = undo_without_parts.relation and c.known and f.child = any (journal.undo_firing())
           and exists (select from pg_temp.journal_undo_group g where g.relation = f.child and g.status = 'conflict')), '');
end
$undo_without_parts$;

comment on function journal.undo_without_parts(oid) is 'SQL text: no part of a row is left. Private.';
