-- Unique and exclusion constraints that are partial or have expressions, or generated columns, or with every all of them. One that only a part of the
-- table has is partial too. Besides: whether it is over plain columns, whether an empty range is surely in nobody's way, the columns that it depends on (those from which others are generated), the
-- predicate, what a row has in the index (places: journal_1, journal_2, …), when a row has the same there as row w, and whether that is what = says (usual; never of an
-- exclusion constraint); as a pattern, when a row of such places has the same as another (meeting), and the index for that (indexed).
create function journal.unique_expressions(relation oid, every boolean default false)
returns table (name name, plain boolean, immediate boolean, exclusion boolean, primary_key boolean, nulls_distinct boolean, empties boolean, usual boolean, attnums int2[], predicate text, computed text, places text, same text, meeting text, indexed text)
language sql stable
begin atomic
    select c.relname, f.plain, i.indimmediate, i.indisexclusion, i.indisprimary and i.indrelid = unique_expressions.relation, not i.indnullsnotdistinct,
           i.indisexclusion and not i.indisunique, pg_catalog.bool_and(o.opcdefault) and not i.indisexclusion,
           array(select distinct coalesce(b.attnum, r.attnum)
                   from (select d.refobjsubid::int2 from pg_catalog.pg_depend d
                          where not f.plain and d.classid = 'pg_catalog.pg_class'::regclass and d.objid = i.indexrelid
                            and d.refclassid = 'pg_catalog.pg_class'::regclass and d.refobjid = i.indrelid and d.refobjsubid > 0
                         union select k.attnum from pg_catalog.unnest(i.indkey::int2[]) with ordinality as k (attnum, n) where k.attnum > 0 and (not f.plain or k.n <= i.indnkeyatts)) p (attnum)
                   join pg_catalog.pg_attribute a on a.attrelid = i.indrelid and a.attnum = p.attnum
                   join pg_catalog.pg_attribute r on r.attrelid = unique_expressions.relation and r.attname = a.attname
                   left join journal.undo_generated_from(unique_expressions.relation) b on b.generated = r.attnum
                 union
                 select r.attnum
                   from pg_catalog.pg_partition_ancestors(i.indrelid) t (relid)
                   join pg_catalog.pg_partitioned_table h on h.partrelid = t.relid and i.indrelid <> unique_expressions.relation
                   join pg_catalog.pg_attribute a on a.attrelid = t.relid and a.attnum = any (h.partattrs::int2[])
                   join pg_catalog.pg_attribute r on r.attrelid = unique_expressions.relation and r.attname = a.attname),
           pg_catalog.concat_ws(' and ', coalesce(pg_catalog.pg_get_expr(i.indpred, i.indrelid), 'true'),
                     case when i.indrelid <> unique_expressions.relation then pg_catalog.pg_get_partition_constraintdef(i.indrelid) end),
           pg_catalog.string_agg(pg_catalog.format('%s as journal_%s', p.place, k.n), ', ' order by k.n),
           pg_catalog.string_agg('journal_' || k.n, ', ' order by k.n),
           pg_catalog.string_agg(pg_catalog.format(case when i.indnullsnotdistinct then '(%1$s %2$s w.journal_%3$s or %1$s is null and w.journal_%3$s is null)' else '%s %s w.journal_%s' end, p.place, journal.operator_name(coalesce(x.conexclop[k.n], a.amopopr)), k.n), ' and ' order by k.n),
           pg_catalog.string_agg(pg_catalog.format(case when i.indnullsnotdistinct then '(%%1$s.journal_%1$s %2$s %%2$s.journal_%1$s or %%1$s.journal_%1$s is null and %%2$s.journal_%1$s is null)' else '%%1$s.journal_%1$s %2$s %%2$s.journal_%1$s' end, k.n, journal.operator_name(coalesce(x.conexclop[k.n], a.amopopr))), ' and ' order by k.n),
           pg_catalog.format('%I (%s)', m.amname, pg_catalog.string_agg(pg_catalog.format('journal_%s %I.%I', k.n, q.nspname, o.opcname), ', ' order by k.n))
      from pg_catalog.pg_index i
      join pg_catalog.pg_class c on c.oid = i.indexrelid
      left join pg_catalog.pg_constraint x on x.conindid = i.indexrelid and x.conexclop is not null
     cross join lateral (select i.indexprs is null and i.indpred is null and i.indrelid = unique_expressions.relation
                                and not exists (select from journal.undo_generated_from(i.indrelid) g where g.generated = any (i.indkey::int2[])) as plain) f
     cross join lateral rows from (pg_catalog.unnest(i.indclass::oid[]), pg_catalog.unnest(i.indcollation::oid[])) with ordinality as k (opclass, collation_id, n)
      left join pg_catalog.pg_collation l on l.oid = k.collation_id
      left join pg_catalog.pg_namespace s on s.oid = l.collnamespace
      join pg_catalog.pg_opclass o on o.oid = k.opclass
      join pg_catalog.pg_namespace q on q.oid = o.opcnamespace
      join pg_catalog.pg_am m on m.oid = o.opcmethod
      left join pg_catalog.pg_amop a on a.amopfamily = o.opcfamily and a.amoplefttype = o.opcintype and a.amoprighttype = o.opcintype
                                    and a.amopstrategy = 3 and not i.indisexclusion
     cross join lateral (select pg_catalog.format('(%s)%s', pg_catalog.pg_get_indexdef(i.indexrelid, k.n::integer, false), pg_catalog.format(' collate %I.%I', s.nspname, l.collname))
                          where l.oid is not null
                         union all
                         select pg_catalog.format('(%s)', pg_catalog.pg_get_indexdef(i.indexrelid, k.n::integer, false)) where l.oid is null) p (place)
     where (i.indrelid = unique_expressions.relation
            or i.indrelid in (select t.relid from pg_catalog.pg_partition_tree(unique_expressions.relation::regclass) t)
               and not exists (select from pg_catalog.pg_inherits h where h.inhrelid = i.indexrelid))
       and (i.indisunique or i.indisexclusion) and i.indisvalid
       and (unique_expressions.every or not f.plain)
     group by c.relname, m.amname, f.plain, i.indimmediate, i.indexrelid, i.indnkeyatts, i.indisexclusion, i.indisunique, i.indisprimary, i.indrelid, i.indkey, i.indpred, i.indnullsnotdistinct;
end;

comment on function journal.unique_expressions(oid, boolean) is 'Unique and exclusion constraints, those that are partial or have expressions unless told otherwise. Private.';
