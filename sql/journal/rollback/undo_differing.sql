-- SQL text: the first column in which the live row t is not what the given side of the images says, or null.
create function journal.undo_differing(relation oid, side text, applies text default 'true') returns text
language plpgsql stable
as $undo_differing$
begin
    return (
        select coalesce('coalesce(' || string_agg(
                   format('case when %s and %s then %s::int2 end', format(applies, c.attnum),
                          journal.differs(journal.undo_live('t', c.name, c.as_text, c.live_type, c.base_type), format(side, c.attnum), c.image_type), c.attnum),
                   ', ' order by c.attnum) || ')', 'null::int2')
          from pg_temp.journal_undo_column c
          join pg_temp.journal_undo u using (relation)
         where c.relation = undo_differing.relation and c.carried and c.problem is null and not c.maintained and c.attnum <> all (u.maintained)
    );
end
$undo_differing$;

comment on function journal.undo_differing(oid, text, text) is 'SQL text: the first column in which a live row differs from images. Private.';
