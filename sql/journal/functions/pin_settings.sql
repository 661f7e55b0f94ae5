-- Pins what pinned_settings() lists, inside a function that does not carry the clauses because it seldom needs them.
create function journal.pin_settings() returns jsonb
language sql volatile
begin atomic
    select pg_catalog.jsonb_object_agg(s.name, s.before)
      from (select p.name, pg_catalog.current_setting(p.name) as before, pg_catalog.set_config(p.name, p.value, true)
              from (values ('datestyle', 'ISO, MDY'), ('intervalstyle', 'postgres'), ('timezone', 'UTC'), ('bytea_output', 'hex'),
                           ('extra_float_digits', '1'), ('xmlbinary', 'base64'), ('lc_monetary', 'C'), ('quote_all_identifiers', 'off')) as p (name, value)
            offset 0) s;
end;

comment on function journal.pin_settings() is 'Pins the settings that change what output functions print; returns what they were.';
