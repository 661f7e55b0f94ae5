-- One wording for a key that was used for something else.
create function journal.raise_arguments_differ(holder journal.step, arguments jsonb) returns void
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $raise_arguments_differ$
begin
    raise exception using
        errcode = 'JR015', message = 'this key was used with other arguments',
        hint = 'a key stands for one effect: use another key for another effect',
        detail = jsonb_build_object('tool', holder.tool, 'key', holder.key,
                                    'differences', journal.differing_arguments(holder.arguments, raise_arguments_differ.arguments));
end
$raise_arguments_differ$;

comment on function journal.raise_arguments_differ(journal.step, jsonb) is 'Raises ArgumentsDiffer. Private.';
