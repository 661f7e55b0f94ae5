-- Live columns by the system cache: what a transition table has at this moment, whatever the transaction's snapshot shows.
create function journal.live_columns(relation oid, out attnum int2, out name text) returns setof record
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $live_columns$
begin
    attnum := 0;
    loop
        attnum := attnum + 1;
        name := (pg_identify_object_as_address('pg_class'::regclass, relation, attnum)).object_names[3];
        exit when name is null;
        continue when name like '........pg.dropped.%';
        return next;
    end loop;
end
$live_columns$;

comment on function journal.live_columns(oid) is 'Live columns of a relation by the system cache.';
