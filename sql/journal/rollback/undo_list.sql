-- One text per column, joined: every generated statement of a rollback is put together from such lists. In the pattern
-- %1$s is the attnum, %2$s the quoted name, %3$s the image type, %4$s the live type, %5$s the live value of t in the form of
-- an image, %6$s the value that the row gets back. Columns that are not carried along have neither b nor a.
create function journal.undo_list(relation oid, pattern text, separator text, which text default 'image') returns text
language plpgsql stable
as $undo_list$
begin
    return (
        select coalesce(string_agg(
                   format(pattern, c.attnum, c.name, c.image_type, c.live_type,
                          journal.undo_live('t', c.name, c.as_text, c.live_type, c.base_type),
                          journal.undo_value('u.b' || c.attnum, c.as_text, c.live_type)),
                   separator order by case when which = 'key' then c.key_position else c.attnum end), '')
          from pg_temp.journal_undo_column c
          join pg_temp.journal_undo u using (relation)
         where c.relation = undo_list.relation and c.carried
           and case which
               when 'image' then true
               when 'live' then c.problem is null                                                       -- still exists as it was
               when 'key' then c.key_position is not null
               when 'guard' then c.problem is null and not c.maintained and c.attnum <> all (u.maintained)  -- and is nobody's to maintain
               end
    );
end
$undo_list$;

comment on function journal.undo_list(oid, text, text, text) is
    'A pattern filled for each image, live, key or guard column of a table under rollback, joined. Private.';
