-- Counts the notes that SERIALIZABLE transactions take of what their steps do. A session cannot turn back the last value it was
-- given, so an older note that is put back is not taken for the last one.
create sequence journal.note_id as bigint cache 1000;
