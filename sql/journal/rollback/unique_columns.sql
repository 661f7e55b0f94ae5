-- Unique and exclusion constraints over plain columns, keys without overlaps among the latter, with the operator that says "the same" for each column, and whether
-- an empty range is in nobody's way: it may not stand in a key without overlaps.
create function journal.unique_columns(relation oid)
returns table (name name, exclusion boolean, attnums int2[], operators oid[], primary_key boolean, immediate boolean, nulls_distinct boolean, empties boolean)
language sql stable
begin atomic
    select c.relname, i.indisexclusion, pg_catalog.array_agg(k.attnum order by k.n),
           case when i.indisexclusion then (select x.conexclop from pg_catalog.pg_constraint x where x.conindid = i.indexrelid and x.conexclop is not null)
                else pg_catalog.array_agg(a.amopopr order by k.n) end,
           i.indisprimary, i.indimmediate, not i.indnullsnotdistinct,
           i.indisexclusion and not i.indisunique
      from pg_catalog.pg_index i
      join pg_catalog.pg_class c on c.oid = i.indexrelid
     cross join lateral rows from (pg_catalog.unnest(i.indkey::int2[]), pg_catalog.unnest(i.indclass::oid[])) with ordinality as k (attnum, opclass, n)
      left join pg_catalog.pg_opclass o on o.oid = k.opclass
      left join pg_catalog.pg_amop a on a.amopfamily = o.opcfamily and a.amoplefttype = o.opcintype and a.amoprighttype = o.opcintype
                                    and a.amopstrategy = 3 and not i.indisexclusion
     where i.indrelid = unique_columns.relation and (i.indisunique or i.indisexclusion) and i.indisvalid
       and i.indexprs is null and i.indpred is null and k.n <= i.indnkeyatts
     group by c.relname, i.indexrelid, i.indisexclusion, i.indisunique, i.indisprimary, i.indimmediate, i.indnullsnotdistinct;
end;

comment on function journal.unique_columns(oid) is 'Unique and exclusion constraints over plain columns. Private.';
