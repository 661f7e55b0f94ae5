-- Transaction ids and message numbers only grow. Where they went back, new messages would never be found.
create function outbox.check_not_rewound(earlier pg_snapshot, later pg_snapshot, highest_id bigint) returns void
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $check_not_rewound$
begin
    if pg_snapshot_xmin(later) < pg_snapshot_xmin(earlier) or pg_snapshot_xmax(later) < pg_snapshot_xmax(earlier)
       or highest_id > (select i.last_value from outbox.message_id as i) then
        raise exception using
            errcode = 'RL004',
            message = 'outbox: transaction ids or message numbers went back since the last seal: this database was restored',
            hint = 'make sure that the original no longer publishes, then run: relay rebase';
    end if;
end
$check_not_rewound$;

comment on function outbox.check_not_rewound(pg_snapshot, pg_snapshot, bigint) is 'Raises SourceRewound when this database was restored.';
