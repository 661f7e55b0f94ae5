-- Where keys changed, a row is followed through its keys: an image continues the last one that left a row at its key.
-- Events of a key in order of images; the mark says which image and what it left there: 0 the row, 1 nothing, it moved away, 2 nothing, it
-- was deleted. What a later transaction finds where a row was deleted, or does not find where one was left, is another row.
create function journal.undo_trace(relation oid) returns void
language plpgsql volatile
as $undo_trace$
#variable_conflict use_variable
begin
    execute format($trace$
        with recursive image as materialized (
            select u.row_no, u.transaction_id, u.kind, pg_catalog.format('%%s', row(%2$s)) as before_key, pg_catalog.format('%%s', row(%3$s)) as after_key
              from pg_temp.%1$I u
        ), event as (
            select row_no, transaction_id, kind, 0 as phase, case kind when 'I' then after_key else before_key end as at, null::bigint as mark, true as asks, 0 as comes from image
            union all
            select row_no, transaction_id, kind, 1, before_key, 4 * row_no + 1, false, -1 from image where kind = 'U' and before_key <> after_key
            union all
            select row_no, transaction_id, kind, 2, case kind when 'D' then before_key else after_key end, 4 * row_no + case kind when 'D' then 2 else 0 end, false,
                   case kind when 'I' then 1 when 'D' then -1 when 'U' then (before_key <> after_key)::integer end from image
        ), asked as (
            select row_no, transaction_id, asks, kind = 'I' or sum(comes) over (partition by at, transaction_id) > 0 as finds_none,
                   max(mark) over (partition by at order by row_no, phase rows between unbounded preceding and 1 preceding) as mark
              from event
        ), link as materialized (
            select a.row_no, p.row_no as previous
              from asked a
              left join image p on p.row_no = a.mark / 4 and a.mark %% 4 <> 1 and (p.transaction_id = a.transaction_id or (p.kind = 'D') = a.finds_none)
             where a.asks
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
