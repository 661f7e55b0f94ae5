-- Which changes of a dropped segment rollbacks left as they are: without its images nobody can take them back any more. That a rollback left something
-- of a statement is kept, one row each, so that the rest of a session is refused for want of images and not taken for undone.
create function journal.forget_left(segment_id integer) returns void
language sql volatile
set search_path = pg_catalog, pg_temp
begin atomic
    with forgotten as (
        delete from journal.left_image l
         using journal.statement s
         where s.segment_id = forget_left.segment_id and l.statement_id = s.statement_id
        returning l.rollback_id, l.statement_id
    )
    insert into journal.left_image (rollback_id, statement_id)
    select distinct f.rollback_id, f.statement_id from forgotten f;
end;

comment on function journal.forget_left(integer) is 'Drops what is known of single changes in a dropped segment. Private.';
