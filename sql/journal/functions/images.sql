-- The images of statements of one segment, as far as the caller may see them. Definer, because segments are private; settings
-- pinned, so that everybody reads the same text.
create function journal.images(segment text, statement_ids bigint[]) returns table (
    statement_id bigint, key jsonb, before jsonb, after jsonb, changed_columns text[], elided_columns text[]
)
language plpgsql stable security definer rows 10
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
as $images$
declare
    shape   journal.segment;
    visible int2[];
begin
    select s.* into shape from journal.segment s where s.segment_id = substr(images.segment, 9)::integer;
    if shape.dropped_at is not null then
        return;
    end if;
    visible := journal.visible_columns(shape, journal.caller());
    return query execute
        journal.image_query(shape, visible, 'statement_id = any ($4)')
        using journal.column_names(shape, visible),
              case shape.kind when 'record' then journal.key_names(shape)
                              else journal.column_names(shape, array(select v from unnest(visible) v where v = any (shape.key))) end,
              visible, images.statement_ids;
end
$images$;

comment on function journal.images(text, bigint[]) is 'Images of statements of one segment, as far as the caller may see them. Read journal.changes.';
