-- The one home of the error for what cannot be covered.
create function journal.refuse_uncoverable(relation regclass, reason text) returns void
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $refuse_uncoverable$
begin
    if reason is not null then
        raise exception using
            errcode = 'JR030', message = format('%s cannot be covered: %s', relation, reason), table = relation::text,
            hint = case when reason = 'it has no primary key' then 'give it one, or record it only: audit_only, --audit-only'
                        else 'leave it out: its changes are neither recorded nor taken back' end,
            detail = jsonb_build_object('reason', reason);
    end if;
end
$refuse_uncoverable$;

comment on function journal.refuse_uncoverable(regclass, text) is 'Raises NotCoverable with the reason; does nothing where there is none.';
