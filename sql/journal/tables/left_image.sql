-- The changes that a rollback left as they are, one row each: all other changes of what it took back are taken back. Retention leaves one
-- row for each statement whose images it drops.
create table journal.left_image (
    rollback_id  uuid not null,
    statement_id bigint not null,
    row_key      text
);

create index left_image_place on journal.left_image (statement_id, pg_catalog.hashtextextended(row_key, 0), rollback_id);

comment on table journal.left_image is 'Changes that partial rollbacks left as they are. Private; read journal.residue.';
comment on column journal.left_image.row_key is 'The key of the row before and after the change; null: the statement was left whole, or its images were dropped.';
