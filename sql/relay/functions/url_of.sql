-- Where a destination is; null when it is not registered.
create function relay.url_of(name text) returns text
language sql stable security definer
set search_path = pg_catalog, pg_temp
as $url_of$
    select d.url from relay.destination as d where d.destination = name
$url_of$;

comment on function relay.url_of(text) is 'The URL of a destination, without credentials.';
