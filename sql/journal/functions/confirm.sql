-- A consumer confirms what a step asked of it by message. Saying it again changes nothing.
create function journal.confirm(receipt_id uuid, consumer text) returns boolean
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
as $confirm$
#variable_conflict use_variable
begin
    if not exists (select from journal.receipt r where r.receipt_id = confirm.receipt_id) then
        raise exception using errcode = 'JR040', message = 'there is no such receipt', hint = 'journal.receipts lists them';
    elsif octet_length(coalesce(consumer, '')) not between 1 and 512 then
        raise exception using
            errcode = 'JR039', message = 'a confirmation needs the name of its consumer, of 1 to 512 bytes', hint = 'name the service that did the work';
    end if;
    insert into journal.confirmation (receipt_id, consumer) values (confirm.receipt_id, confirm.consumer) on conflict do nothing;
    return found;
end
$confirm$;

comment on function journal.confirm(uuid, text) is
    'Records that a consumer did what a step asked of it; the receipt becomes confirmed. False where that consumer said so before. Raises UnknownReceipt.';
