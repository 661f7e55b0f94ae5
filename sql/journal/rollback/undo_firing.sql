-- The tables of a rollback on which triggers of the user's fire.
create function journal.undo_firing() returns oid[]
language plpgsql stable
as $undo_firing$
begin
    return array(select distinct t.tgrelid
                   from pg_trigger t
                   join pg_temp.journal_undo u on u.relation = t.tgrelid and u.target is not null
                   join pg_proc p on p.oid = t.tgfoid and p.pronamespace <> 'journal'::regnamespace
                  where not t.tgisinternal);
end
$undo_firing$;

comment on function journal.undo_firing() is 'Tables of a rollback with triggers of the user''s. Private.';
