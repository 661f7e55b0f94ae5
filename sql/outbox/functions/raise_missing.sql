-- A dropped partition, or a deleted row, would otherwise make a delivery silently shorter.
create function outbox.raise_missing(seal bigint, named bigint, present bigint) returns void
language plpgsql volatile
as $raise_missing$
begin
    raise exception using
        errcode = 'RL004',
        message = format('outbox: seal %s names %s messages, %s are there', seal, named, present),
        hint = 'messages were deleted before they were delivered: restore them, or start the destination anew from a later seal';
end
$raise_missing$;

comment on function outbox.raise_missing(bigint, bigint, bigint) is 'Raises SourceRewound: a seal is not complete.';
