-- Counts bindings. A session cannot turn back the last value it was given, so an older binding that is put back is not taken for
-- the last one.
create sequence journal.binding_id as bigint cache 1000;

comment on sequence journal.binding_id is 'Numbers of bindings; gaps mean nothing. Private.';
