-- Whether a relation still has the columns that its capture function was written for, and still belongs to the covered table.
-- A deliberate lie: declared immutable, so that it runs when a capture statement is planned, and again after every change of
-- the table (plans on transition tables depend on it), at no cost in between. It reads the system cache, not the catalogs: an
-- old snapshot does not fool it. Our own row is read by snapshot, so one that is not there yet is an error to retry.
create function journal.shape_is(capture_id integer, types text[], present oid[]) returns boolean
language plpgsql immutable
set search_path = pg_catalog, pg_temp
set quote_all_identifiers = off
as $shape_is$
declare
    capture journal.capture;
    covered regclass;
begin
    select * into capture from journal.capture c where c.capture_id = shape_is.capture_id;
    if not found then
        raise exception using errcode = '40001', message = 'journal: a table was covered after this transaction took its snapshot', hint = 'run the transaction again';
    end if;
    covered := (select s.relation from journal.segment s where s.segment_id = capture.segment_id);
    return journal.columns_are(capture.relation, capture.attnums)
       and types = array(select format_type(journal.base_type(p.type), -1) from unnest(present) with ordinality as p (type, n) order by p.n)
       and coalesce(pg_partition_root(capture.relation), capture.relation) = covered;
end
$shape_is$;

comment on function journal.shape_is(integer, text[], oid[]) is
    'Whether a covered relation has the columns and types that its capture function knows. Immutable on purpose: folded when a capture statement is planned.';
