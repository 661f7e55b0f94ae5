-- When the last of some messages was stored by the last destination that takes it: null while one is not, and where there are none
-- or nobody takes one. Its body is bound late: relay is loaded after journal.
create function journal.delivered_at(message_ids jsonb) returns timestamptz
language plpgsql stable security definer
set search_path = pg_catalog, pg_temp
as $delivered_at$
begin
    if message_ids = '[]' then
        return null;
    end if;
    return (
        select case when bool_and(stored.everywhere) then max(stored.at) end
          from jsonb_array_elements_text(message_ids) m (id)
         cross join lateral (
               select coalesce(bool_and(d.status = 'delivered'), false) as everywhere, max(d.delivered_at) as at
                 from relay.deliveries d where d.message_id = m.id::uuid
               ) stored);
end
$delivered_at$;

comment on function journal.delivered_at(jsonb) is 'When all of these messages were stored by every destination that takes them; null while they are not.';
