-- Why changes of a covered table may have gone unrecorded, or null.
create function journal.why_gap(covered journal.covered_table) returns text
language sql stable
begin atomic
    select case
        when exists (select from journal.relations_of(covered.relation) r
                      where not exists (select from journal.capture c where c.segment_id = covered.segment_id and c.relation = r.member))
            then (select pg_catalog.format('its partition %s was attached after it was covered', pg_catalog.min(journal.qualified_name(r.member)))
                    from journal.relations_of(covered.relation) r
                   where not exists (select from journal.capture c where c.segment_id = covered.segment_id and c.relation = r.member))
        when covered.trigger_marks <> journal.trigger_marks(covered.relation) then 'its capture triggers were disabled, dropped or changed'
        end;
end;

comment on function journal.why_gap(journal.covered_table) is 'Why changes of a covered table may be missing, or null.';
