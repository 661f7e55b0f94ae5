-- Whether a row version that is visible here was written by this transaction: any other's that is visible has ended. The ids
-- of its subtransactions follow its own; what is older, or looks so far ahead that it is from before a wraparound, is not ours.
create function journal.undo_is_ours(xmin xid) returns boolean
language plpgsql volatile cost 1000
set search_path = pg_catalog, pg_temp
as $undo_is_ours$
#variable_conflict use_variable
declare
    top   constant bigint := pg_current_xact_id()::text;
    ahead constant bigint := (xmin::text::bigint - (top & 4294967295) + 4294967296) & 4294967295;
begin
    return ahead < 16777216 and pg_xact_status((top + ahead)::text::xid8) = 'in progress';
exception when invalid_parameter_value then  -- an id that nobody has had yet
    return false;
end
$undo_is_ours$;

comment on function journal.undo_is_ours(xid) is 'Whether this transaction wrote a visible row version. Private.';
