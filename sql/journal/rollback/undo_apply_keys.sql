-- Puts changed keys back, in place, so that children follow. Each pass moves the rows whose old key is free by now, under every constraint over columns of the key. What stands there and
-- is to be removed goes first, if nothing refers to it; rows
-- that wait for each other in a circle are parked at keys that nobody has. Where there is no such key, it is left to the
-- database, which refuses unless the key is deferrable. False: some keys will be free only when other rows are removed.
create function journal.undo_apply_keys(relation oid, final boolean) returns boolean
language plpgsql volatile
as $undo_apply_keys$
#variable_conflict use_variable
declare
    target  text := journal.undo_rows(relation);
    attnums int2[] := journal.undo_key_attnums(relation);
    here    text := journal.undo_key_match(relation, 'u.a%1$s');
    there   text := journal.undo_key_match(relation, 'u.b%1$s', 'x');
    waits   text := 'u.status operator(pg_catalog.=) ''restore'' and not u.moved and u.restored operator(pg_catalog.&&) ' || quote_literal(attnums) || '::int2[]';
    move    text;  -- with what follows it: names of the user's may look like patterns, so nothing is formatted twice
    done    text;
    pending bigint;
    moving  constant boolean := (select u.restored && attnums from pg_temp.journal_undo u where u.relation = undo_apply_keys.relation);
    waiting bigint := -1;
    parked  integer := 0;
    cleared boolean := false;
    free    text;
    blocked text;  -- whether somebody is in the way who is not to move too
    stuck   boolean := true;
begin
    if not moving then
        return true;
    end if;
    done := format(' returning u.row_no) update pg_temp.journal_undo_%s u set moved = true from moved where moved.row_no operator(pg_catalog.=) u.row_no', relation);
    move := format('with moved as (update %1$s t set %2$s from pg_temp.journal_undo_%3$s u where %4$s and %5$s',
                   target, (select string_agg(format('%s = %s', c.name, journal.undo_value('u.b' || c.attnum, c.as_text, c.live_type)), ', ')
                              from pg_temp.journal_undo_column c join pg_attribute a on a.attrelid = c.relation and a.attnum = c.attnum
                             where c.relation = undo_apply_keys.relation and c.attnum = any (attnums) and a.attidentity <> 'a'),
                   relation, waits, here);
    free := (select string_agg(format(' and not exists (select from %s x where %s and not (x.tableoid operator(pg_catalog.=) t.tableoid and x.ctid operator(pg_catalog.=) t.ctid))', target, p.same), '')
               from journal.undo_key_places(relation) as p (same));
    if exists (select from journal.unique_columns(relation) i where i.primary_key and not i.immediate) then
        blocked := format('select exists (select from pg_temp.journal_undo_%1$s u join %2$s x on %3$s where %4$s and not exists (select from pg_temp.journal_undo_%1$s y where %5$s and %6$s))',
                          relation, target, there, waits, replace(waits, 'u.', 'y.'), journal.undo_key_match(relation, 'y.a%1$s', 'x'));
    end if;
    loop
        execute format('select count(*) from pg_temp.journal_undo_%s u join %s t on %s where %s', relation, target, here, waits)
           into pending;
        exit when pending = 0;
        if blocked is not null then
            execute blocked into stuck;
            if not stuck then
                perform journal.undo_execute(move || done);
                exit;
            end if;
        end if;
        if pending = waiting and not cleared and (select u.removes from pg_temp.journal_undo u where u.relation = undo_apply_keys.relation) then
            cleared := true;
            perform journal.undo_clear_way(relation);
        elsif pending = waiting then
            parked := parked + 1;
            if parked > 1 and not final then
                return false;
            elsif parked > 1 or not journal.undo_park_keys(relation) then
                perform journal.undo_execute(move || done);
                exit;
            end if;
        end if;
        perform journal.undo_execute(move || free || done);
        waiting := pending;
    end loop;
    return true;
end
$undo_apply_keys$;

comment on function journal.undo_apply_keys(oid, boolean) is 'Puts the changed keys of one table back; false where some have to wait. Private.';
