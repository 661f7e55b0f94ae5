-- The order within one transaction, and within one key. CACHE 1: a cache per backend would hand out old numbers late.
create sequence outbox.message_id as bigint cache 1;

comment on sequence outbox.message_id is 'Numbers of outbox.message. Private; a message''s public id is message_id.';
