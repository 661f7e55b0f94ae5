-- Cover mends a gap; that there was one must not be forgotten.
create function journal.note_gap(relation regclass) returns void
language sql volatile
begin atomic
    insert into journal.gap (relation, reason, from_at, attached_by)
    select c.relation, journal.why_gap(c), c.covered_at, min(u.attached_by) filter (where u.whole)
      from journal.covered_table c
     cross join lateral (select w.attached_by, bool_and(w.attached_by is not null) over () as whole from journal.unwatched(c) w) u
     where c.relation = note_gap.relation
     group by c.relation, c.covered_at, c.*;
end;

comment on function journal.note_gap(regclass) is 'Remembers the gap of a table that is about to be mended.';
