-- The first million messages.
create table outbox.message_1 partition of outbox.message for values from (minvalue) to (1000001);

comment on table outbox.message_1 is 'Partition of outbox.message. Private.';
