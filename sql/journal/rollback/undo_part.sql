-- Where others deleted, inserted or moved the row at a key between two visits of the session, it met two rows there: what it did
-- to each stands for itself, and the one that they moved away is looked for where they put it. Returns whether there were any.
create function journal.undo_part(relation oid) returns boolean
language plpgsql volatile
as $undo_part$
#variable_conflict use_variable
declare
    parted bigint;
begin
    execute format($part$
        with course as (
            select i.row_no, i.identity, i.statement_id, lag(i.statement_id) over (partition by i.identity order by i.row_no) as since
              from pg_temp.%1$I i
             where i.identity in (select o.identity from pg_temp.%2$I o where o.changed is null)
        ), stay as (
            select c.row_no, c.identity, count(*) filter (where exists (
                       select from pg_temp.%2$I o where o.identity = c.identity and o.changed is null and o.statement_id > c.since and o.statement_id < c.statement_id))
                   over (partition by c.identity order by c.row_no) as stay
              from course c
        )
        update pg_temp.%1$I i
           set identity = p.identity, images = p.images
          from (select s.row_no, min(s.row_no) over w as identity, count(*) over w as images from stay s window w as (partition by s.identity, s.stay)) p
         where p.row_no = i.row_no$part$,
        'journal_image_' || relation, 'journal_between_' || relation);
    get diagnostics parted = row_count;
    return parted > 0;
end
$undo_part$;

comment on function journal.undo_part(oid) is 'Tells rows apart that a session met at one key. Private.';
