-- Whether nothing but the rollback's own statements can have written what a plan wrote: no trigger or rule that is not the
-- journal's, no row security (its policies may call anything), no foreign key that takes rows along, no constraint that calls a
-- volatile function. To be asked after they wrote: by then their locks keep all of that as it is.
create function journal.undo_writes_alone() returns boolean
language plpgsql stable
as $undo_writes_alone$
declare
    written constant oid[] := array(select u.relation from pg_temp.journal_undo u where u.target is not null
                                    union select p.relid::oid from pg_temp.journal_undo u, pg_partition_tree(u.relation::regclass) p where u.target is not null);
begin
    return not exists (select from pg_class c where c.oid = any (written) and (c.relhasrules or c.relrowsecurity))
       and not exists (select from pg_trigger t join pg_proc p on p.oid = t.tgfoid
                        where t.tgrelid = any (written) and not t.tgisinternal and t.tgenabled <> 'D' and p.pronamespace <> 'journal'::regnamespace)
       and not exists (select from pg_constraint f
                        where f.contype = 'f' and f.confrelid = any (written) and (f.confdeltype not in ('a', 'r') or f.confupdtype not in ('a', 'r'))
                          and exists (select from pg_temp.journal_undo u where u.removes or u.restored && f.confkey))
       and not exists (select from pg_constraint x
                         join pg_depend d on d.classid = 'pg_constraint'::regclass and d.objid = x.oid and d.refclassid = 'pg_proc'::regclass
                         join pg_proc p on p.oid = d.refobjid and p.provolatile = 'v'
                        where x.contype = 'c' and (x.conrelid = any (written) or x.contypid <> 0));
end
$undo_writes_alone$;

comment on function journal.undo_writes_alone() is 'Whether nothing but the rollback can have written the tables of a plan. Private.';
