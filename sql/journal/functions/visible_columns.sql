-- Images are shown only to whoever may select the column now. Row security cannot be applied to a row that is gone, nor
-- a privilege to a table or column that is: those are the auditor's.
create function journal.visible_columns(segment journal.segment, role_name name) returns int2[]
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $visible_columns$
declare
    auditor constant boolean := journal.is_auditor(role_name);
    open    constant boolean := exists (select from pg_class c where c.oid = segment.relation and not c.relrowsecurity);
    stored  int2[];
begin
    stored := case segment.kind when 'record' then array(select g from generate_series(1, 1600) as g)::int2[]
                                else array(select u.attnum from unnest(segment.attnums, segment.image_types) as u (attnum, image) where u.image is not null) end;
    if auditor then
        return stored;
    elsif not open then
        return '{}';
    end if;
    return array(select v from unnest(stored) as v where has_column_privilege(role_name, segment.relation, v, 'select'));
end
$visible_columns$;

comment on function journal.visible_columns(journal.segment, name) is 'Attnums of the stored columns whose images a role may see now; for whole rows of any column.';
