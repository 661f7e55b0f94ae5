-- Cover mends a gap; that there was one must not be forgotten.
create function journal.note_gap(relation regclass) returns void
language sql volatile
begin atomic
    insert into journal.gap (relation, reason, from_at)
    select c.relation, journal.why_gap(c), c.covered_at
      from journal.covered_table c
     where c.relation = note_gap.relation and journal.why_gap(c) is not null;
end;

comment on function journal.note_gap(regclass) is 'Remembers the gap of a table that is about to be mended.';
