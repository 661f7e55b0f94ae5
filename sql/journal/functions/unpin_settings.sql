-- Puts settings back that pin_settings has changed.
create function journal.unpin_settings(settings jsonb) returns void
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $unpin_settings$
begin
    perform set_config(s.key, s.value, true) from jsonb_each_text(settings) as s;
end
$unpin_settings$;

comment on function journal.unpin_settings(jsonb) is 'Puts settings back that journal.pin_settings has changed.';
