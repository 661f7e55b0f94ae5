-- Whether a rollback no longer tells what is taken back: an earlier one of the same was itself rolled back after it, if only in part. What
-- that one had taken back, this one found done already; and it is in effect again.
create function journal.is_overtaken(reversal journal.reversal) returns boolean
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $is_overtaken$
begin
    return exists (
        select
          from journal.reversal e
          join journal.reversal x on x.session_id = e.rollback_id and x.reversal_id > reversal.reversal_id and x.rollback_id <> reversal.rollback_id
         where e.session_id = reversal.session_id and e.reversal_id < reversal.reversal_id
           and (e.step_id is null or reversal.step_id is null or e.step_id = reversal.step_id)
           and journal.session_reversed(e.rollback_id) <> 'no');
end
$is_overtaken$;

comment on function journal.is_overtaken(journal.reversal) is 'Whether an earlier rollback of the same was itself rolled back after it. Private.';
