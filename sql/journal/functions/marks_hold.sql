-- Whether the capture triggers are those that cover left. After a restore into another database they are new ones everywhere,
-- so their identity says nothing: their state has to do, until cover looks at them again.
create function journal.marks_hold(sealed text[], present text[]) returns boolean
language sql immutable
begin atomic
    select sealed <> '{}' and (sealed = present or not journal.same_home(sealed, present)
                                                   and array(select pg_catalog.split_part(m, '|', 1) from unnest(sealed) m)
                                                     = array(select pg_catalog.split_part(m, '|', 1) from unnest(present) m));
end;

comment on function journal.marks_hold(text[], text[]) is 'Whether capture triggers are as they were at cover, as far as can be told.';
