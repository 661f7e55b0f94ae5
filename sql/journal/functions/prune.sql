-- Retention. Segments that have been written to for a day give way to new ones; whole segments are dropped that nothing young
-- enough, and no session that is open, needs. Nothing is waited for: what is being covered, or read, has its turn next time.
create function journal.prune(keep interval default null, rotate_after interval default '1 day')
returns table (segment text, table_name text, action text, bytes bigint)
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
as $prune$
#variable_conflict use_column
declare
    found journal.segment;
    used  boolean;
begin
    if keep < journal.shortest_retention()
       and not pg_has_role(journal.caller(), (select n.nspowner from pg_namespace n where n.nspname = 'journal'), 'usage') then
        raise exception using
            errcode = '42501', message = format('images may be kept for %s at the shortest', journal.shortest_retention()),
            hint = 'only the owner of the journal may drop younger ones';
    end if;
    for found in
        select s.* from journal.segment s join journal.covered_table c on c.segment_id = s.segment_id
         where s.from_at < clock_timestamp() - prune.rotate_after order by s.segment_id
           for update of c skip locked
    loop
        execute format('select exists (select from journal.segment_%s)', found.segment_id) into used;
        continue when not used;
        segment := 'segment_' || journal.rotate_segment(found.relation);
        table_name := found.table_name; action := 'begun'; bytes := 0;
        return next;
    end loop;
    for found in select s.* from journal.segment s where journal.is_droppable(s, prune.keep) order by s.segment_id loop
        segment := 'segment_' || found.segment_id;
        begin
            execute format('lock table journal.segment_%s in access exclusive mode nowait', found.segment_id);
        exception
            when lock_not_available then continue;
        end;
        table_name := found.table_name; action := 'dropped';
        bytes := pg_total_relation_size(to_regclass('journal.segment_' || found.segment_id));
        execute format('drop table journal.segment_%s', found.segment_id);
        update journal.segment s set dropped_at = clock_timestamp() where s.segment_id = found.segment_id;
        perform journal.forget_left(found.segment_id);
        return next;
    end loop;
end
$prune$;

comment on function journal.prune(interval, interval) is
    'Begins new segments where the present ones are old, and drops those that retention allows. keep: how long images are kept after their segment was closed (default journal.retention()). At least journal.shortest_retention(), unless the journal''s owner calls. Returns what was begun and dropped.';
