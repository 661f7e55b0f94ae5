-- Names of the key columns of a segment; whole rows go by the typed segment that came before.
create function journal.key_names(segment journal.segment) returns text[]
language sql stable
begin atomic
    select journal.column_names(k, k.key)
      from journal.segment k
     where k.relation = segment.relation and k.kind = 'typed' and k.shape <= segment.shape
     order by k.shape desc
     limit 1;
end;

comment on function journal.key_names(journal.segment) is 'Names of the key columns of a segment.';
