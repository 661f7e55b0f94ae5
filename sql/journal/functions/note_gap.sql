-- Cover mends a gap, and uncover forgets the marks that show it; that there was one must not be forgotten. Whoever is about to
-- touch triggers or marks looks first, once in a transaction: what it does to them itself is no gap.
create function journal.note_gap(relation regclass) returns void
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
as $note_gap$
begin
    insert into journal.gap (relation, reason, from_at, attached_by)
    select c.relation, journal.why_gap(c), c.covered_at, min(u.attached_by) filter (where u.whole)
      from journal.covered_table c
     cross join lateral (select w.attached_by, bool_and(w.attached_by is not null) over () as whole from journal.unwatched(c) w) u
     where c.relation = note_gap.relation and c.looked_at_by is distinct from pg_current_xact_id()
     group by c.relation, c.covered_at, c.*;
    update journal.covered_table c set looked_at_by = pg_current_xact_id() where c.relation = note_gap.relation;
end
$note_gap$;

comment on function journal.note_gap(regclass) is 'Remembers the gap of a table that is about to be mended or uncovered. Private.';
