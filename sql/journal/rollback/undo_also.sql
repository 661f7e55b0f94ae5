-- SQL text: of row u (its live row is t) what is in conflict besides its culprit, as a JSON list: each column with its values before the session, as
-- the session left it, and now.
create function journal.undo_also(relation oid) returns text
language plpgsql stable
as $undo_also$
#variable_conflict use_variable
begin
    return (
        select coalesce('(select coalesce(jsonb_agg(x.of_column order by x.attnum), ''[]'') from (values ' || string_agg(pg_catalog.format(
                '(%1$s::int2, case when u.live and (%1$s = any (u.broken) or %1$s = any (u.meddled) or u.kind <> ''D'' and (u.kind = ''I'' or %1$s = any (u.changed)) and %2$s)'
                ' then jsonb_build_object(''column'', %3$L, ''base'', case when u.b%1$s is not null then pg_catalog.format(''%%s'', u.b%1$s) end,'
                ' ''ours'', case when u.a%1$s is not null then pg_catalog.format(''%%s'', u.a%1$s) end, ''theirs'', case when t.%4$s is distinct from null then pg_catalog.format(''%%s'', t.%4$s) end) end)',
                c.attnum, journal.differs(journal.undo_live('t', c.name, c.as_text, c.live_type, c.base_type), 'u.a' || c.attnum, c.image_type), c.name, c.name), ', ')
            || ') as x (attnum, of_column) where x.of_column is not null and x.attnum is distinct from u.culprit)', '''[]''::jsonb')
          from pg_temp.journal_undo_column c
          join pg_temp.journal_undo u using (relation)
         where c.relation = undo_also.relation and c.carried and c.problem is null and not c.maintained and c.attnum <> all (u.maintained) and c.key_position is null
    );
end
$undo_also$;

comment on function journal.undo_also(oid) is 'SQL text: what else of a row is in conflict. Private.';
