-- The xmins that a change of a table's definition gave to its rows, if it rewrote them: those of what the catalog holds of it. Where that
-- may have cut or rounded what the session changed, the rows are not known to be as it left them.
create function journal.undo_rewritten_by(relation oid, changed int2[]) returns xid[]
language sql stable
begin atomic
    select pg_catalog.array_agg(w.xmin)
      from journal.relations_of(relation) r
     cross join lateral (
           select c.xmin from pg_catalog.pg_class c where c.oid = r.member
           union select a.xmin from pg_catalog.pg_attribute a where a.attrelid = r.member
           union select d.xmin from pg_catalog.pg_attrdef d where d.adrelid = r.member
           except select a.xmin from pg_catalog.pg_attribute a where a.attrelid = undo_rewritten_by.relation and a.atttypmod <> -1 and a.attnum = any (changed)) w;
end;

comment on function journal.undo_rewritten_by(oid, int2[]) is 'The xmins that rows of a table have because its definition was changed. Private.';
