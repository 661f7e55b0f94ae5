-- The last step of cover: remembers the triggers as they were created, and drops capture functions that no trigger calls.
create function journal.seal_coverage(relation regclass) returns void
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
as $seal_coverage$
declare
    member record;
    moved  boolean := false;
begin
    perform journal.check_owner(seal_coverage.relation);
    perform journal.note_gap(seal_coverage.relation);
    for member in
        select c.capture_id, c.trigger_marks as sealed, journal.trigger_marks(r.member) as present, case when r.kind = 'p' and r.member <> seal_coverage.relation then 3 else 4 end as triggers
          from journal.relations_of(seal_coverage.relation) r
          join journal.covered_table t on t.relation = seal_coverage.relation
          left join journal.capture c on c.segment_id = t.segment_id and c.relation = r.member
    loop
        if member.capture_id is null or cardinality(member.present) <> member.triggers then
            raise exception using
                errcode = 'JR029', message = format('the capture triggers of %s are not complete', relation),
                hint = 'call journal.cover, which makes them first';
        end if;
        perform journal.take_back_capture('journal.capture_' || member.capture_id);
        update journal.capture c set trigger_marks = member.present where c.capture_id = member.capture_id and c.trigger_marks <> member.present;
        moved := moved or member.sealed <> member.present;
    end loop;
    update journal.covered_table c set covered_at = clock_timestamp() where c.relation = seal_coverage.relation and moved;
    perform journal.drop_captures(relation);
end
$seal_coverage$;

comment on function journal.seal_coverage(regclass) is 'Remembers the capture triggers of a table as they are. Private: call journal.cover.';
