-- A receipt as drivers of any kind read it: for whoever may read journal.receipts, and for the user whose step it was.
create function journal.receipt_json(receipt_id uuid) returns jsonb
language plpgsql stable security definer
set search_path = pg_catalog, pg_temp
as $receipt_json$
declare
    answer jsonb;
begin
    select to_jsonb(r) into answer
      from journal.receipts r
      join journal.step s on s.step_id = r.step_id
     where r.receipt_id = receipt_json.receipt_id
       and (s.db_user = session_user or has_table_privilege(journal.caller(), 'journal.receipts', 'select'));
    if answer is null then
        raise exception using errcode = 'JR040', message = 'there is no such receipt', hint = 'journal.receipts lists them';
    end if;
    return answer;
end
$receipt_json$;

comment on function journal.receipt_json(uuid) is 'A row of journal.receipts as JSON. Raises UnknownReceipt.';
