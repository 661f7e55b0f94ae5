-- Where keys changed, a row is followed through its keys: an image continues the last one that left a row at its key.
-- Events of a key in order of images; an odd mark says that the row had moved away from there.
create function journal.undo_trace(relation oid) returns void
language plpgsql volatile
as $undo_trace$
#variable_conflict use_variable
begin
    execute format($trace$
        with recursive image as materialized (
            select u.row_no, u.kind, pg_catalog.format('%%s', row(%2$s)) as before_key, pg_catalog.format('%%s', row(%3$s)) as after_key
              from pg_temp.%1$I u
        ), event as (
            select row_no, 0 as phase, case kind when 'I' then after_key else before_key end as at, null::bigint as mark, true as asks from image
            union all
            select row_no, 1, before_key, 2 * row_no + 1, false from image where kind = 'U' and before_key <> after_key
            union all
            select row_no, 2, case kind when 'D' then before_key else after_key end, 2 * row_no, false from image
        ), asked as (
            select row_no, asks, max(mark) over (partition by at order by row_no, phase rows between unbounded preceding and 1 preceding) as mark
              from event
        ), link as materialized (
            select row_no, case when mark %% 2 = 0 then mark / 2 end as previous from asked where asks
        ), chain as (
            select row_no, row_no as identity from link where previous is null
            union all
            select l.row_no, c.identity from link l join chain c on c.row_no = l.previous
        )
        update pg_temp.%1$I u
           set identity = c.identity, images = c.images
          from (select row_no, identity, count(*) over (partition by identity) as images from chain) c
         where c.row_no = u.row_no$trace$,
        'journal_image_' || relation, journal.undo_list(relation, 'u.b%1$s', ', ', 'key'), journal.undo_list(relation, 'u.a%1$s', ', ', 'key'));
end
$undo_trace$;

comment on function journal.undo_trace(oid) is 'Follows rows through changed keys. Private.';
