-- Under which key a row that is restored stands once the changed keys that go first are back, as a pattern for undo_key_match.
create function journal.undo_stands_at(relation oid) returns text
language plpgsql stable
as $undo_stands_at$
#variable_conflict use_variable
begin
    return (select case when u.inline then 'u.a%1$s' else 'u.b%1$s' end
              from pg_temp.journal_undo u where u.relation = undo_stands_at.relation);
end
$undo_stands_at$;

comment on function journal.undo_stands_at(oid) is 'Under which key a restored row stands while a rollback is applied. Private.';
