-- Takes what no partition was made for: a missing partition must never fail a business transaction.
create table outbox.message_default partition of outbox.message default;

comment on table outbox.message_default is 'Partition of outbox.message. Private.';
