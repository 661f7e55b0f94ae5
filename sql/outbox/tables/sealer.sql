-- One row, locked by whoever seals. It only saves work: two sealers would collide on the seal's number.
create table outbox.sealer (
    one boolean primary key default true check (one)
);

insert into outbox.sealer default values;

comment on table outbox.sealer is 'The lock of sealing. Private.';
