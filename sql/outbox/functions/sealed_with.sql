-- The seal with which the last message of a partition was sealed; null when it is not at or before `latest`.
create function outbox.sealed_with(leaf regclass, latest bigint) returns bigint
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $sealed_with$
declare
    low constant bigint := (select max(s.no) from outbox.seal as s where s.no <= (select p.through_seal from outbox.pruned as p));
begin
    if not exists (select from outbox.seal as s where s.no = latest) or not outbox.all_sealed_by(leaf, latest) then
        return null;
    end if;
    return outbox.first_seal_holding(coalesce(low, 0), latest, null, null, leaf);
end
$sealed_with$;

comment on function outbox.sealed_with(regclass, bigint) is 'Number of the first seal by which all messages of a partition are sealed, up to a seal; null when there is none.';
