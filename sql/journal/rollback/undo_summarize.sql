-- What a plan does to a table in short, so that checks that cannot matter are not made: the columns it restores, and whether
-- it removes or inserts rows.
create function journal.undo_summarize(relation oid) returns void
language plpgsql volatile
as $undo_summarize$
#variable_conflict use_variable
declare
    columns   int2[];
    removing  boolean;
    inserting boolean;
begin
    execute format($summary$
        select array(select distinct c from (select distinct u.restored from pg_temp.journal_undo_%1$s u where u.status = 'restore') r, unnest(r.restored) c order by c),
               exists (select from pg_temp.journal_undo_%1$s where status = 'remove'), exists (select from pg_temp.journal_undo_%1$s where status = 'reinsert')$summary$, relation)
       into columns, removing, inserting;
    update pg_temp.journal_undo u set restored = columns, removes = removing, reinserts = inserting
     where u.relation = undo_summarize.relation;
end
$undo_summarize$;

comment on function journal.undo_summarize(oid) is 'Notes what a plan does to a table. Private.';
