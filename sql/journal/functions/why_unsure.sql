-- What cannot be known about a covered table, although nothing speaks against its coverage, or null.
create function journal.why_unsure(covered journal.covered_table) returns text
language sql stable
begin atomic
    select 'it was restored from another database: its triggers are in place, but a gap since the restore would not be seen'
     where exists (select from journal.capture c
                    where c.segment_id = covered.segment_id and not journal.same_home(c.trigger_marks, journal.trigger_marks(c.relation)));
end;

comment on function journal.why_unsure(journal.covered_table) is 'What cannot be known about a covered table until it is covered again, or null.';
