-- Unique and exclusion constraints that are partial or have expressions, or generated columns, and with referring also those over columns of
-- foreign keys, or with every all of them: the columns that they depend on (those from which others are generated), the predicate, what a row has in the index (places: journal_1, journal_2, …),
-- when a row has the same there as row w, and whether that is what = says (usual; never of an exclusion constraint).
create function journal.unique_expressions(relation oid, referring boolean default false, every boolean default false)
returns table (name name, exclusion boolean, primary_key boolean, nulls_distinct boolean, usual boolean, attnums int2[], predicate text, computed text, places text, same text)
language sql stable
begin atomic
    select c.relname, i.indisexclusion, i.indisprimary, not i.indnullsnotdistinct, pg_catalog.bool_and(o.opcdefault) and not i.indisexclusion,
           array(select distinct coalesce(b.attnum, p.attnum)
                   from (select d.refobjsubid::int2 from pg_catalog.pg_depend d
                          where d.classid = 'pg_catalog.pg_class'::regclass and d.objid = i.indexrelid
                            and d.refclassid = 'pg_catalog.pg_class'::regclass and d.refobjid = i.indrelid and d.refobjsubid > 0
                         union select k from pg_catalog.unnest(i.indkey::int2[]) k where k > 0) p (attnum)
                   left join journal.undo_generated_from(i.indrelid) b on b.generated = p.attnum),
           coalesce(pg_catalog.pg_get_expr(i.indpred, i.indrelid), 'true'),
           pg_catalog.string_agg(pg_catalog.format('%s as journal_%s', p.place, k.n), ', ' order by k.n),
           pg_catalog.string_agg('journal_' || k.n, ', ' order by k.n),
           pg_catalog.string_agg(pg_catalog.format(case when i.indnullsnotdistinct then '(%1$s %2$s w.journal_%3$s or %1$s is null and w.journal_%3$s is null)' else '%s %s w.journal_%s' end, p.place, journal.operator_name(coalesce(x.conexclop[k.n], a.amopopr)), k.n), ' and ' order by k.n)
      from pg_catalog.pg_index i
      join pg_catalog.pg_class c on c.oid = i.indexrelid
      left join pg_catalog.pg_constraint x on x.conindid = i.indexrelid and x.contype = 'x'
     cross join lateral rows from (pg_catalog.unnest(i.indclass::oid[]), pg_catalog.unnest(i.indcollation::oid[])) with ordinality as k (opclass, collation_id, n)
      left join pg_catalog.pg_collation l on l.oid = k.collation_id
      left join pg_catalog.pg_namespace s on s.oid = l.collnamespace
      join pg_catalog.pg_opclass o on o.oid = k.opclass
      left join pg_catalog.pg_amop a on a.amopfamily = o.opcfamily and a.amoplefttype = o.opcintype and a.amoprighttype = o.opcintype
                                    and a.amopstrategy = 3 and not i.indisexclusion
     cross join lateral (select pg_catalog.format('(%s)%s', pg_catalog.pg_get_indexdef(i.indexrelid, k.n::integer, false), pg_catalog.format(' collate %I.%I', s.nspname, l.collname))
                          where l.oid is not null
                         union all
                         select pg_catalog.format('(%s)', pg_catalog.pg_get_indexdef(i.indexrelid, k.n::integer, false)) where l.oid is null) p (place)
     where i.indrelid = unique_expressions.relation and (i.indisunique or i.indisexclusion) and i.indisvalid
       and (unique_expressions.every or i.indexprs is not null or i.indpred is not null
            or exists (select from journal.undo_generated_from(i.indrelid) g where g.generated = any (i.indkey::int2[]))
            or unique_expressions.referring and i.indimmediate and not i.indisprimary and exists (
               select from journal.undo_foreign_keys(unique_expressions.relation) f where f.child = unique_expressions.relation and f.child_attnums && i.indkey::int2[]))
     group by c.relname, i.indexrelid, i.indisexclusion, i.indisprimary, i.indrelid, i.indkey, i.indpred, i.indnullsnotdistinct;
end;

comment on function journal.unique_expressions(oid, boolean, boolean) is 'Unique and exclusion constraints, those that are partial or have expressions unless told otherwise. Private.';
