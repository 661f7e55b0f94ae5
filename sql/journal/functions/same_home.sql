-- Whether two sets of trigger marks were taken in the same database of the same cluster, so that oid and xmin mean something.
create function journal.same_home(sealed text[], present text[]) returns boolean
language sql immutable
begin atomic
    select pg_catalog.split_part(sealed[1], '|', 2) is not distinct from pg_catalog.split_part(present[1], '|', 2);
end;

comment on function journal.same_home(text[], text[]) is 'Whether two sets of trigger marks were taken in the same database.';
