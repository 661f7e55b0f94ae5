-- Every recorded image of the row with this key, segment by segment. Definer, because segments are private; a caller who
-- may not see a key column finds nothing, so keys cannot be probed.
create function journal.row_images(relation regclass, key jsonb) returns table (
    statement_id bigint, row_key jsonb, before jsonb, after jsonb, changed_columns text[], elided_columns text[]
)
language plpgsql stable security definer
set search_path = pg_catalog, pg_temp
set jit = off
set datestyle = 'ISO, MDY'
set intervalstyle = postgres
set timezone = UTC
set bytea_output = hex
set extra_float_digits = 1
set xmlbinary = base64
set lc_monetary = 'C'
set quote_all_identifiers = off
as $row_images$
declare
    shape   journal.segment;
    visible int2[];
begin
    for shape in select s.* from journal.segment s where s.relation = row_images.relation and s.kind = 'typed' and s.key <> '{}' and s.dropped_at is null order by s.shape loop
        visible := journal.visible_columns(shape, journal.caller());
        if shape.key <@ visible and key ?& journal.column_names(shape, shape.key) then
            return query execute
                journal.image_query(shape, visible, format('(%s or %s)', journal.key_condition(shape, 'o', key), journal.key_condition(shape, 'n', key)))
                using journal.column_names(shape, visible), journal.column_names(shape, shape.key), visible;
        end if;
    end loop;
end
$row_images$;

comment on function journal.row_images(regclass, jsonb) is 'Images of the row with a key, as far as the caller may see them. Call journal.row_history.';
