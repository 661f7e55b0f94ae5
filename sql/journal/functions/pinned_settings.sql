-- Settings that change what output functions print, as SET clauses of functions that read or write images as text.
create function journal.pinned_settings() returns text
language sql immutable
begin atomic
    select ' set datestyle = ''ISO, MDY'' set intervalstyle = postgres set timezone = UTC set bytea_output = hex set extra_float_digits = 1'
           ' set xmlbinary = base64 set lc_monetary = ''C'' set quote_all_identifiers = off';
end;

comment on function journal.pinned_settings() is 'SET clauses for functions that turn values into text.';
