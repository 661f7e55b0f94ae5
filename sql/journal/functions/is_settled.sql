-- Whether a rollback tells what is taken back: all that it took back still is, and no earlier one of the same came into question after it.
create function journal.is_settled(reversal journal.reversal) returns boolean
language sql stable
begin atomic
    select journal.session_reversed(reversal.rollback_id) = 'no' and not journal.is_overtaken(reversal);
end;

comment on function journal.is_settled(journal.reversal) is 'Whether a rollback is in effect whole and tells what is taken back. Private.';
