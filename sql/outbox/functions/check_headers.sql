-- Headers are flat, and none may pass for one of ours or steer the broker (Nats-Rollup would empty a stream).
create function outbox.check_headers(headers jsonb) returns boolean
language plpgsql immutable strict
as $check_headers$
declare
    name text;
begin
    if headers = '{}' then
        return true;
    elsif jsonb_typeof(headers) <> 'object' then
        raise exception using
            errcode = 'OX003', message = 'outbox: headers are not a JSON object', detail = '{"path": "headers"}',
            hint = 'pass an object of strings, numbers and booleans';
    end if;
    for name in
        select h.key from jsonb_each(headers) as h
        where jsonb_typeof(h.value) not in ('string', 'number', 'boolean')
           or h.key !~ '^[A-Za-z0-9][A-Za-z0-9_-]*$' or length(h.key) > 128
           or h.key ~* '^(ce|nats)[-_]'
           or h.value #>> '{}' ~ '[[:cntrl:]]'
    loop
        raise exception using
            errcode = 'OX003',
            message = 'outbox: a header is not allowed',
            detail = jsonb_build_object('path', 'headers.' || left(name, 128))::text,
            hint = 'names are letters, digits, - and _, not beginning with ce- or nats-; values are strings without control characters, numbers or booleans';
    end loop;
    return true;
end
$check_headers$;

comment on function outbox.check_headers(jsonb) is 'True; raises NotSerializable unless every header can travel on every destination.';
