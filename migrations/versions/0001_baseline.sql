-- Frozen from sql/ by `make freeze`. Not edited by hand.

-- The whole schema, in reading order: load order and table of contents in one.
-- `psql -f sql/install.sql` installs it for the current role, as `journal migrate --no-roles` does, but without a version: use
-- migrate for databases that you keep. The group roles belong to the cluster, not to a database: see roles.sql.
-- sql/schemas.sql
-- The three schemas. `journal migrate` makes them beforehand, owned by journal_owner, who may then lack CREATE on the database;
-- so they are looked for first: `create schema if not exists` asks for that right even when there is nothing to create.
do $schemas$
declare
    name text;
begin
    foreach name in array array['journal', 'outbox', 'relay'] loop
        if to_regnamespace(name) is null then
            execute format('create schema %I', name);
        end if;
    end loop;
end
$schemas$;
comment on schema journal is 'agent sessions, coverage, changes, rollbacks, receipts; the views and functions are the contract, the tables are private';
comment on schema outbox is 'messages to the outside world, published in the transaction that they tell about';
comment on schema relay is 'destinations of messages, and how far each has got';


-- the journal: sessions, coverage, changes, rollbacks, receipts

-- journal: the ledger
-- sql/journal/tables/session.sql
-- One row per agent session. The row is locked, never updated, while the session works: bind holds it
-- FOR SHARE, a rollback and the sealer wait on that lock or pass it by.
create table journal.session (
    session_id        uuid primary key,
    parent_session_id uuid references journal.session,
    kind              text not null default 'agent' check (kind in ('agent', 'rollback')),
    agent             text not null check (agent <> ''),
    task              text not null default '',
    tenant            text not null default '',
    run_id            text,
    status            text not null default 'open' check (status in ('open', 'closed', 'failed', 'stopped')),
    status_reason     text,
    opened_at         timestamptz not null default clock_timestamp(),
    closed_at         timestamptz,
    db_user           name not null,
    db_role           name not null,
    application_name  text not null default '',
    hold              text,
    details           jsonb not null default '{}'
);

create unique index session_run on journal.session (tenant, agent, run_id) where run_id is not null;
create index session_agent on journal.session (agent, opened_at);
create index session_opened on journal.session (opened_at);
create index session_parent on journal.session (parent_session_id) where parent_session_id is not null;

comment on table journal.session is 'Agent sessions: the unit of rollback. Private; read journal.sessions.';

-- sql/journal/tables/secret.sql
-- The key of the transaction-local token that says "this transaction is bound": whoever cannot read it cannot forge it.
create table journal.secret (
    secret bytea not null
);

create unique index secret_single on journal.secret ((true));

insert into journal.secret select pg_catalog.sha256(pg_catalog.uuid_send(pg_catalog.gen_random_uuid()) || pg_catalog.uuid_send(pg_catalog.gen_random_uuid()));

comment on table journal.secret is 'The key of the binding token. Private: nobody but the owner reads it.';

-- sql/journal/tables/stop.sql
-- Insert-only marks, committed before a fence is taken: bind refuses on a mark before it asks for its row lock, so
-- overlapping steps cannot starve the rollback that waits for the session row.
create table journal.stop (
    stop_id    bigint generated always as identity primary key,
    session_id uuid,
    agent      text,
    reason     text not null default '',
    stopped_at timestamptz not null default clock_timestamp(),
    db_user    text not null,
    lifted_at  timestamptz,
    check (num_nonnulls(session_id, agent) = 1)
);

create index stop_session on journal.stop (session_id) where session_id is not null;
create index stop_agent on journal.stop (agent) where agent is not null;

comment on table journal.stop is 'Sessions and agents that may not bind any more. Private.';

-- sql/journal/tables/statement.sql
-- The ledger: one row per statement that changed a covered table. Its id is taken while the row locks are held,
-- so between transactions the order of ids is the order of changes (hence CACHE 1); within one it is not, because
-- nested triggers record the inner statement first. Rows are never updated: the xmin of a ledger row is that of the
-- rows which its statement wrote, and that is how a later, unjournaled change is noticed.
create sequence journal.statement_id as bigint cache 1;

create table journal.statement (
    statement_id     bigint primary key,
    transaction_id   xid8 not null,
    cluster          bigint not null,
    segment_id       integer not null,
    rows             bigint not null,
    executed_at      timestamptz not null,
    depth            smallint not null,
    operation        "char" not null check (operation in ('I', 'U', 'D', 'T')),
    db_user          text not null,
    db_role          text,
    application_name text
);

create index statement_transaction on journal.statement (transaction_id);

comment on table journal.statement is 'The ledger of captured statements. Private; read journal.statements.';
comment on column journal.statement.cluster is 'System identifier of the cluster: transaction ids repeat after a restore elsewhere.';
comment on column journal.statement.depth is 'pg_trigger_depth() at capture; foreign-key actions stay at 1.';
comment on column journal.statement.db_role is 'The role set, null where it is the session user.';

-- sql/journal/tables/binding.sql
-- Who a transaction's changes belong to: a change belongs to the last binding before it in its transaction. The
-- binding takes its place among the statements by an id from their sequence. Insert only.
create table journal.binding (
    statement_id   bigint primary key,
    transaction_id xid8 not null,
    cluster        bigint not null,
    session_id     uuid,
    step_id        uuid,
    bound_at       timestamptz not null
);

create index binding_transaction on journal.binding (transaction_id);
create index binding_session on journal.binding (session_id, statement_id);

comment on table journal.binding is 'Which session and step a range of statements of a transaction belongs to. Private.';
comment on column journal.binding.session_id is 'Null: from here on the transaction is unbound again.';

-- sql/journal/tables/agent_role.sql
-- Who is an agent is named exactly: membership misfires for superusers, pools and role administrators.
create table journal.agent_role (
    role_name text primary key
);

comment on table journal.agent_role is 'Roles whose writes to covered tables are refused outside a bound session. Matched exactly with session_user and the role set.';


-- journal: coverage and capture
-- sql/journal/tables/segment.sql
-- A segment is the physical table that holds the images of one covered table, for one shape of it and one period.
-- Its image columns are named by attnum (o3 before, n3 after): names change, attnums do not.
create table journal.segment (
    segment_id  integer generated always as identity primary key,
    relation    regclass not null,
    table_name  text not null,
    shape       integer not null,
    attnums     int2[] not null,
    names       name[] not null,
    types       regtype[] not null,
    image_types text[] not null,
    key         int2[] not null,
    from_at     timestamptz not null default clock_timestamp(),
    until_at    timestamptz,
    unique (relation, shape)
);

comment on table journal.segment is 'Segments and the shapes they were made for. Private; read journal.segments.';
comment on column journal.segment.attnums is 'All live columns of that shape, in order; names, types and image_types run parallel.';
comment on column journal.segment.image_types is
    'Type of the image columns; ''text'' marked by a leading * holds what the type''s output function gives; null: no image (generated, excluded).';
comment on column journal.segment.key is 'Columns of the primary key, in the order of the key.';

-- sql/journal/tables/covered_table.sql
-- What is covered, and how. Options name columns by attnum, so that they survive renames.
create table journal.covered_table (
    relation     regclass primary key,
    segment_id   integer not null references journal.segment,
    writers      text not null check (writers in ('all', 'agents')),
    undo         boolean not null,
    strict_shape boolean not null,
    on_truncate  text not null check (on_truncate in ('capture', 'refuse')),
    excluded     int2[] not null,
    counters     int2[] not null,
    maintained   int2[] not null,
    trigger_marks text[] not null default '{}',
    covered_at   timestamptz not null default clock_timestamp()
);

comment on table journal.covered_table is 'Covered tables and their options. Private; read journal.coverage.';
comment on column journal.covered_table.trigger_marks is
    'Name, oid, state and xmin of the capture triggers at cover: disabling and enabling one again changes its xmin.';

-- sql/journal/functions/cluster_id.sql
-- Transaction ids repeat after a restore into another cluster; the system identifier tells the clusters apart.
create function journal.cluster_id() returns bigint
language sql stable parallel safe
begin atomic
    select system_identifier from pg_catalog.pg_control_system();
end;

comment on function journal.cluster_id() is 'System identifier of this cluster.';

-- sql/journal/functions/caller.sql
-- Inside a definer function current_user is the owner. Who called is the role set, else the session user.
create function journal.caller() returns name
language sql stable
begin atomic
    select coalesce(nullif(pg_catalog.current_setting('role'), 'none'), session_user::text)::name;
end;

comment on function journal.caller() is 'The role that called: the role set, else the session user.';

-- sql/journal/functions/qualified_name.sql
-- regclass prints by search_path; images and reports need the same name for everybody.
create function journal.qualified_name(relation oid) returns text
language sql stable
begin atomic
    select pg_catalog.format('%I.%I', n.nspname, c.relname)
      from pg_catalog.pg_class c
      join pg_catalog.pg_namespace n on n.oid = c.relnamespace
     where c.oid = relation;
end;

comment on function journal.qualified_name(oid) is 'schema.table, quoted where needed; null where the relation is gone.';

-- sql/journal/functions/type_of.sql
-- The type of an expression as a constant of the plan: declared immutable on purpose, so that
-- type_of(case when false then column end) folds at plan time and is evaluated anew after every change of the table.
create function journal.type_of(anyelement) returns oid
language plpgsql immutable called on null input
as $type_of$
begin
    return pg_catalog.pg_typeof($1)::oid;
end
$type_of$;

comment on function journal.type_of(anyelement) is 'Type of the argument. Immutable on purpose: folded when a capture statement is planned.';

-- sql/journal/functions/columns_are.sql
-- Whether a table's live columns are still the given attnums. A deliberate lie: declared immutable, so that it runs
-- when a capture statement is planned, and again after every change of the table (plans on transition tables depend
-- on it), at no cost in between. It reads the system cache, not the catalogs: an old snapshot does not fool it.
create function journal.columns_are(relation oid, attnums int2[]) returns boolean
language plpgsql immutable
set search_path = pg_catalog, pg_temp
as $columns_are$
declare
    column_name text;
    attnum      int4 := attnums[cardinality(attnums)];
begin
    if exists (
        select from unnest(attnums) as a (n)
        where coalesce((pg_identify_object_as_address('pg_class'::regclass, relation, a.n)).object_names[3], '........pg.dropped.')
              like '........pg.dropped.%'
    ) then
        return false;
    end if;
    loop
        attnum := attnum + 1;
        column_name := (pg_identify_object_as_address('pg_class'::regclass, relation, attnum)).object_names[3];
        if column_name is null then
            return true;
        elsif column_name not like '........pg.dropped.%' then
            return false;
        end if;
    end loop;
end
$columns_are$;

comment on function journal.columns_are(oid, int2[]) is
    'Whether these are exactly the live columns of the relation, by the system cache. Immutable on purpose: folded when a capture statement is planned.';

-- sql/journal/functions/raise_stale.sql
-- The one home of the error for a table whose shape is not the one that was covered.
create function journal.raise_stale(relation oid) returns void
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $raise_stale$
begin
    raise exception using
        errcode = 'JR031',
        message = format('journal: the shape of %s is not the one that was covered, so its changes cannot be recorded exactly', relation::regclass),
        hint = format('run: journal cover %s', relation::regclass),
        table = relation::regclass::text;
end
$raise_stale$;

comment on function journal.raise_stale(oid) is 'Raises StaleCoverage for the relation.';

-- sql/journal/functions/types_are.sql
-- The second half of the shape check (see columns_are): raises, because a value of another type must never be
-- coerced into an image.
create function journal.types_are(segment integer, relation oid, expected oid[], actual oid[]) returns boolean
language plpgsql immutable
set search_path = pg_catalog, pg_temp
as $types_are$
begin
    if expected <> actual then
        perform journal.raise_stale(relation);
    end if;
    return true;
end
$types_are$;

comment on function journal.types_are(integer, oid, oid[], oid[]) is
    'True, or raises StaleCoverage. Immutable on purpose: folded when a capture statement is planned.';

-- sql/journal/functions/admit.sql
-- Refuses writes of named agent roles outside a bound session. Called by capture, before anything is recorded.
create function journal.admit(relation oid) returns void
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $admit$
begin
    if exists (select from journal.bound_session()) then
        return;
    end if;
    raise exception using
        errcode = 'JR024',
        message = format('journal: role %I is an agent and may write %s only inside a bound session',
                         coalesce(nullif(current_setting('role'), 'none'), session_user), relation::regclass),
        hint = 'write inside a step of an agent session, or call journal.bind first',
        table = relation::regclass::text;
end
$admit$;

comment on function journal.admit(oid) is 'Raises UnboundWrite unless the transaction is bound.';

-- sql/journal/functions/base_type.sql
-- The type under a domain, however deep; any other type is its own.
create function journal.base_type(column_type oid) returns oid
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $base_type$
declare
    base oid := column_type;
begin
    while (select t.typtype = 'd' from pg_type t where t.oid = base) loop
        base := (select t.typbasetype from pg_type t where t.oid = base);
    end loop;
    return base;
end
$base_type$;

comment on function journal.base_type(oid) is 'The type under a domain; any other type is its own.';

-- sql/journal/functions/image_type.sql
-- How a column type is stored in a segment: types of pg_catalog (also under a domain) as themselves and without typmod,
-- all others as the text of their output function, marked by a leading *. So no segment depends on a user's type.
-- The reg* types are stored as text too: pg_upgrade refuses most of them in user tables.
create function journal.image_type(column_type oid) returns text
language sql stable
begin atomic
    select case when t.typnamespace = 'pg_catalog'::pg_catalog.regnamespace and t.typtype in ('b', 'r', 'm')
                     and t.typname not like any ('{reg%,\\_reg%}')
                then pg_catalog.format_type(t.oid, -1)
                else '*text' end
      from pg_catalog.pg_type t
     where t.oid = journal.base_type(column_type);
end;

comment on function journal.image_type(oid) is
    'Type of the segment columns for a column of the given type; ''*text'' stands for the text of its output function.';

-- sql/journal/functions/image_of.sql
-- An expression as it is stored: types that are kept as text go through their output function. format('%s') is used,
-- because a cast to text could run code that the owner of the type wrote.
create function journal.image_of(expression text, image_type text) returns text
language sql immutable
begin atomic
    select case when image_type like '*%'
                then pg_catalog.format('case when %1$s is distinct from null then pg_catalog.format(''%%s'', %1$s) end', expression)
                else expression end;
end;

comment on function journal.image_of(text, text) is 'SQL text of an expression in the form in which a segment stores it.';

-- sql/journal/functions/pinned_settings.sql
-- Settings that change what output functions print, as SET clauses of functions that read or write images as text.
create function journal.pinned_settings() returns text
language sql immutable
begin atomic
    select ' set datestyle = ''ISO, MDY'' set intervalstyle = postgres set timezone = UTC set bytea_output = hex set extra_float_digits = 1'
           ' set xmlbinary = base64 set lc_monetary = ''C'' set quote_all_identifiers = off';
end;

comment on function journal.pinned_settings() is 'SET clauses for functions that turn values into text.';

-- sql/journal/functions/capture_preamble.sql
-- What every branch of a capture function does once it knows that rows were touched: leave what need not be
-- journaled, refuse what may not be written, and refuse a shape that it does not know.
create function journal.capture_preamble(relation regclass, options journal.covered_table) returns text
language sql stable
begin atomic
    select pg_catalog.format($preamble$%s
        if exists (select from journal.agent_role r where r.role_name in (session_user, current_setting('role'))) then
            perform journal.admit(%s);
        end if;
        if not intact or tg_relid <> %2$s then
            perform journal.raise_stale(tg_relid);
        end if;$preamble$,
        case options.writers when 'agents' then $bound$
        if not exists (select from journal.bound_session()) then
            if exists (select from journal.agent_role r where r.role_name in (session_user, current_setting('role'))) then
                perform journal.admit(tg_relid);
            end if;
            return null;
        end if;$bound$ else '' end,
        relation::oid);
end;

comment on function journal.capture_preamble(regclass, journal.covered_table) is 'SQL text shared by the branches of a capture function.';

-- sql/journal/functions/capture_truncate.sql
-- The TRUNCATE branch of a capture function.
create function journal.capture_truncate(segment journal.segment, options journal.covered_table) returns text
language sql stable
begin atomic
    select $truncate$
        raise exception using
            errcode = 'JR023',
            message = format('journal: TRUNCATE of %s is refused, because it could not be undone', tg_relid::regclass),
            hint = 'delete the rows, or run journal uncover first',
            table = tg_relid::regclass::text;$truncate$;
end;

comment on function journal.capture_truncate(journal.segment, journal.covered_table) is 'SQL text of the TRUNCATE branch of a capture function.';

-- sql/journal/functions/capture_body.sql
-- Writes the body of the capture function of a segment. Transition tables are read through positional aliases, so
-- renames and odd names are harmless; the shape check is folded into the plan (columns_are, types_are).
-- Only a FULL JOIN may join transition tables: plans are cached at the first row count, and a nested loop planned for
-- one row is quadratic for a bulk statement.
create function journal.capture_body(segment journal.segment, options journal.covered_table) returns text
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $capture_body$
declare
    old_alias  text; new_alias text;       -- every live column, by position
    old_names  text; new_names text;       -- image columns of the segment
    old_values text; new_values text;
    key_match  text;
    shape      text;
    ledger     text;
begin
    select string_agg('o' || a.attnum, ', ' order by a.n), string_agg('n' || a.attnum, ', ' order by a.n),
           string_agg('o' || a.attnum, ', ' order by a.n) filter (where a.stored is not null),
           string_agg('n' || a.attnum, ', ' order by a.n) filter (where a.stored is not null),
           string_agg(journal.image_of('o.o' || a.attnum, a.stored), ', ' order by a.n) filter (where a.stored is not null),
           string_agg(journal.image_of('n.n' || a.attnum, a.stored), ', ' order by a.n) filter (where a.stored is not null),
           string_agg(format('%s = %s', journal.image_of('o.o' || a.attnum, a.stored), journal.image_of('n.n' || a.attnum, a.stored)), ' and ')
               filter (where a.attnum = any (segment.key))
      into old_alias, new_alias, old_names, new_names, old_values, new_values, key_match
      from unnest(segment.attnums, segment.image_types) with ordinality as a (attnum, stored, n);

    select format('journal.types_are(%s, %s, %L, array[%s])', segment.segment_id, segment.relation::oid,
                  array_agg(journal.base_type(a.type) order by a.n)::text,
                  string_agg(format('journal.type_of(case when false then %%1$s.%%1$s%s end)', a.attnum), ', ' order by a.n))
      into shape
      from unnest(segment.attnums, segment.types) with ordinality as a (attnum, type, n);

    ledger := format($ledger$
        insert into journal.statement (statement_id, transaction_id, cluster, segment_id, rows, executed_at, depth, operation, db_user, db_role, application_name)
        values (this_statement, pg_current_xact_id(), journal.cluster_id(), %s, images, statement_timestamp(), pg_trigger_depth(), '%%s', session_user,
                nullif(current_setting('role'), 'none'), nullif(current_setting('application_name'), ''));$ledger$, segment.segment_id);

    return format($body$
declare
    this_statement bigint;
    images bigint;
    intact boolean;
begin
    if tg_op = 'UPDATE' then
        select journal.columns_are(%1$s, %2$L) into intact from new_rows limit 1;
        if not found then
            return null;
        end if;%3$s
        this_statement := nextval('journal.statement_id');
        if (select count(*) from old_rows) = (select count(*) from new_rows) then
            insert into journal.segment_%4$s (statement_id, %5$s, %6$s)
            select this_statement, %7$s, %8$s
              from (select row_number() over (), * from old_rows) as o (n, %9$s)
              full join (select row_number() over (), * from new_rows) as n (n, %10$s) on o.n = n.n
             where %11$s;
        else
            insert into journal.segment_%4$s (statement_id, %5$s, %6$s)
            select this_statement, %7$s, %8$s
              from old_rows as o (%9$s)
              full join new_rows as n (%10$s) on %12$s
             where %11$s;
        end if;
        get diagnostics images = row_count;%13$s
    elsif tg_op = 'INSERT' then
        select journal.columns_are(%1$s, %2$L) into intact from new_rows limit 1;
        if not found then
            return null;
        end if;%3$s
        this_statement := nextval('journal.statement_id');
        insert into journal.segment_%4$s (statement_id, %6$s)
        select this_statement, %8$s from new_rows as n (%10$s) where %14$s;
        get diagnostics images = row_count;%15$s
    elsif tg_op = 'DELETE' then
        select journal.columns_are(%1$s, %2$L) into intact from old_rows limit 1;
        if not found then
            return null;
        end if;%3$s
        this_statement := nextval('journal.statement_id');
        insert into journal.segment_%4$s (statement_id, %5$s)
        select this_statement, %7$s from old_rows as o (%9$s) where %11$s;
        get diagnostics images = row_count;%16$s
    else%17$s
    end if;
    return null;
end
$body$,
        segment.relation::oid, segment.attnums::text, journal.capture_preamble(segment.relation, options),
        segment.segment_id, old_names, new_names, old_values, new_values, old_alias, new_alias,
        format(shape, 'o'), key_match, format(ledger, 'U'), format(shape, 'n'), format(ledger, 'I'), format(ledger, 'D'),
        journal.capture_truncate(segment, options));
end
$capture_body$;

comment on function journal.capture_body(journal.segment, journal.covered_table) is 'Source of the capture function of a segment.';

-- sql/journal/functions/why_too_wide.sql
-- A segment row holds both images. What would not fit is refused at cover, never at the user's write: 1,600 columns are
-- the limit of a table (about 700 doubled, with room), and a row must fit its fixed part and a pointer (18 bytes) for
-- each value that can be moved out of line into a page.
create function journal.why_too_wide(relation regclass) returns text
language sql stable
begin atomic
    select case
        when pg_catalog.count(*) > 700 then 'it has more than 700 columns, too many for both images in one row'
        when pg_catalog.sum(2 * case when t.typlen > 0 then t.typlen + 4 else 18 end) > 7800
            then 'its columns are too wide for both images in one row'
        end
      from pg_catalog.pg_attribute a
      join pg_catalog.pg_type t on t.oid = a.atttypid
     where a.attrelid = relation and a.attnum > 0 and not a.attisdropped;
end;

comment on function journal.why_too_wide(regclass) is 'The reason why both images of a row would not fit into one, or null.';

-- sql/journal/functions/why_not_coverable.sql
-- Why a relation cannot be covered, or null. One home for the refusals: cover raises them, the coverage view shows them.
create function journal.why_not_coverable(relation regclass) returns text
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $why_not_coverable$
declare
    class pg_class;
begin
    select * into class from pg_class where oid = relation;
    return case
        when class.oid is null then 'there is no such table'
        when class.relnamespace in ('journal'::regnamespace, 'outbox'::regnamespace, 'relay'::regnamespace) then 'it belongs to the journal'
        when class.relnamespace in ('pg_catalog'::regnamespace, 'information_schema'::regnamespace) then 'it is a system catalog'
        when class.relkind = 'v' then 'it is a view; cover the tables it reads'
        when class.relkind = 'm' then 'it is a materialized view'
        when class.relkind = 'f' then 'it is a foreign table'
        when class.relkind = 'p' then 'it is partitioned, which is not supported yet'
        when class.relkind <> 'r' then 'it is not a table'
        when class.relpersistence = 't' then 'it is temporary'
        when class.relpersistence = 'u' then 'it is unlogged: its rows do not survive a crash, their images would'
        when class.relispartition then 'it is a partition, which is not supported yet'
        when exists (select from pg_inherits i where relation in (i.inhrelid, i.inhparent)) then 'it takes part in inheritance'
        when exists (select from pg_rewrite r where r.ev_class = relation and r.ev_type <> '1') then 'a rule rewrites its statements'
        when not exists (select from pg_index i where i.indrelid = relation and i.indisprimary) then 'it has no primary key'
        else journal.why_too_wide(relation)
    end;
end
$why_not_coverable$;

comment on function journal.why_not_coverable(regclass) is 'The reason why a relation cannot be covered, or null.';

-- sql/journal/functions/present_shape.sql
-- The shape that a table has now, as a segment that does not exist yet (segment_id is null).
create function journal.present_shape(relation regclass, excluded int2[] default '{}') returns journal.segment
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $present_shape$
declare
    segment journal.segment;
begin
    segment.relation := relation;
    segment.table_name := journal.qualified_name(relation);
    select array_agg(a.attnum order by a.attnum), array_agg(a.attname order by a.attnum), array_agg(a.atttypid::regtype order by a.attnum),
           array_agg(case when a.attgenerated = '' and a.attnum <> all (excluded) then journal.image_type(a.atttypid) end order by a.attnum)
      into segment.attnums, segment.names, segment.types, segment.image_types
      from pg_attribute a
     where a.attrelid = relation and a.attnum > 0 and not a.attisdropped;
    select array_agg(k.attnum order by k.n) into segment.key
      from pg_index i, unnest(i.indkey::int2[]) with ordinality as k (attnum, n)
     where i.indrelid = relation and i.indisprimary and k.n <= i.indnkeyatts;
    return segment;
end
$present_shape$;

comment on function journal.present_shape(regclass, int2[]) is 'The shape that a table has now.';

-- sql/journal/functions/column_numbers.sql
-- Options name columns; the journal keeps attnums.
create function journal.column_numbers(relation regclass, names text[], purpose text) returns int2[]
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $column_numbers$
declare
    missing text;
begin
    select string_agg(n.name, ', ') into missing
      from unnest(names) as n (name)
     where not exists (select from pg_attribute a
                        where a.attrelid = relation and a.attname = n.name and a.attnum > 0 and not a.attisdropped);
    if missing is not null then
        raise exception using errcode = '42703', message = format('%s has no column %s to be %s', relation, missing, purpose);
    end if;
    return coalesce((select array_agg(a.attnum order by a.attnum) from pg_attribute a
                      where a.attrelid = relation and a.attname = any (names) and a.attnum > 0 and not a.attisdropped), '{}');
end
$column_numbers$;

comment on function journal.column_numbers(regclass, text[], text) is 'Attnums of the named columns; raises for names that do not exist.';

-- sql/journal/functions/trigger_marks.sql
-- What the capture triggers look like now. Disabling and enabling a trigger again leaves the same state under a new
-- xmin, so a comparison with the marks kept at cover shows every gap, without superuser.
create function journal.trigger_marks(relation oid) returns text[]
language sql stable
begin atomic
    select coalesce(pg_catalog.array_agg(pg_catalog.concat_ws(':', t.tgname, t.oid, t.tgenabled, t.tgfoid, t.xmin) order by t.tgname), '{}')
      from pg_catalog.pg_trigger t
     where t.tgrelid = relation
       and t.tgname in ('journal_insert', 'journal_update', 'journal_delete', 'journal_truncate');
end;

comment on function journal.trigger_marks(oid) is 'Name, oid, state, function and xmin of the capture triggers of a table.';

-- sql/journal/functions/coverage_state.sql
-- Status, reason and fix of one table's coverage: the one home of the rules that the coverage view shows.
create function journal.coverage_state(relation regclass) returns jsonb
language plpgsql stable security definer
set search_path = pg_catalog, pg_temp
as $coverage_state$
declare
    covered journal.covered_table;
    segment journal.segment;
    shape   journal.segment;
    reason  text := journal.why_not_coverable(relation);
    fix     text := format('journal cover %s', journal.qualified_name(relation));
begin
    select * into covered from journal.covered_table c where c.relation = coverage_state.relation;
    if covered.relation is null then
        return case when reason is null then jsonb_build_object('status', 'uncovered', 'fix', fix)
                    else jsonb_build_object('status', 'uncoverable', 'reason', reason) end;
    end if;
    if covered.trigger_marks <> journal.trigger_marks(relation) then
        return jsonb_build_object('status', 'gap', 'reason', 'its capture triggers were disabled, dropped or changed', 'fix', fix);
    end if;
    select * into segment from journal.segment s where s.segment_id = covered.segment_id;
    shape := journal.present_shape(relation, covered.excluded);
    if shape.attnums <> segment.attnums or shape.types <> segment.types or shape.key is distinct from segment.key then
        return jsonb_build_object('status', 'stale', 'reason', coalesce(reason, 'its shape changed since it was covered'), 'fix', fix);
    end if;
    return jsonb_build_object('status', 'covered');
end
$coverage_state$;

comment on function journal.coverage_state(regclass) is 'Status (covered, stale, gap, uncovered, uncoverable), reason and fix of a table''s coverage.';

-- sql/journal/functions/add_segment.sql
-- Makes the physical table of a new segment. No typmod, collation, default or constraint: an image is what was there.
create function journal.add_segment(segment journal.segment) returns journal.segment
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $add_segment$
begin
    insert into journal.segment (relation, table_name, shape, attnums, names, types, image_types, key)
    select segment.relation, segment.table_name, 1 + coalesce(max(s.shape), 0), segment.attnums, segment.names, segment.types,
           segment.image_types, segment.key
      from journal.segment s where s.relation = segment.relation
    returning * into segment;
    update journal.segment s set until_at = clock_timestamp()
     where s.relation = segment.relation and s.until_at is null and s.segment_id <> segment.segment_id;
    execute format('create table journal.%I (statement_id bigint not null%s)', 'segment_' || segment.segment_id,
                   (select string_agg(format(', %s%s %s', side, a.attnum, ltrim(a.stored, '*')), '' order by side desc, a.n)
                      from unnest(segment.attnums, segment.image_types) with ordinality as a (attnum, stored, n), unnest('{o,n}'::text[]) as side
                     where a.stored is not null));
    execute format('create index on journal.%I (statement_id)', 'segment_' || segment.segment_id);
    execute format('comment on table journal.%I is %L', 'segment_' || segment.segment_id,
                   format('Images of %s, shape %s: o before, n after, numbered by attnum. Private; read journal.changes.',
                          segment.table_name, segment.shape));
    return segment;
end
$add_segment$;

comment on function journal.add_segment(journal.segment) is 'Makes a segment and closes the one before it.';

-- sql/journal/functions/make_segment.sql
-- The definer half of cover: makes or reuses the segment for the table's present shape, writes the capture function,
-- and returns its name. The caller, who owns the table, creates the triggers.
create function journal.make_segment(relation regclass, options journal.covered_table) returns text
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
as $make_segment$
declare
    segment journal.segment;
begin
    if not pg_has_role(journal.caller(), (select c.relowner from pg_class c where c.oid = relation), 'usage') then
        raise exception using errcode = '42501', message = format('must be owner of table %s to cover it', relation);
    end if;
    segment := journal.present_shape(relation, options.excluded);
    select s.* into segment.segment_id, segment.shape
      from (select s.segment_id, s.shape from journal.segment s
             where s.relation = make_segment.relation and s.until_at is null and s.attnums = segment.attnums
               and s.types = segment.types and s.image_types = segment.image_types and s.key = segment.key) s;
    if not found then
        segment := journal.add_segment(segment);
    end if;
    execute format('create or replace function journal.%I() returns trigger language plpgsql security definer
                    set search_path = pg_catalog, pg_temp set jit = off%s as %L',
                   'capture_' || segment.segment_id,
                   case when exists (select from unnest(segment.image_types) t where t like '*%') then journal.pinned_settings() else '' end,
                   journal.capture_body(segment, options));
    insert into journal.covered_table (relation, segment_id, writers, undo, strict_shape, on_truncate, excluded, counters, maintained)
    values (relation, segment.segment_id, options.writers, options.undo, options.strict_shape, options.on_truncate, options.excluded,
            options.counters, options.maintained)
    on conflict on constraint covered_table_pkey do update set
        segment_id = excluded.segment_id, writers = excluded.writers, undo = excluded.undo, strict_shape = excluded.strict_shape,
        on_truncate = excluded.on_truncate, excluded = excluded.excluded, counters = excluded.counters, maintained = excluded.maintained;
    return format('journal.%I', 'capture_' || segment.segment_id);
end
$make_segment$;

comment on function journal.make_segment(regclass, journal.covered_table) is
    'The part of cover that needs the journal''s rights; returns the name of the capture function. Private: call journal.cover.';

-- sql/journal/functions/set_triggers.sql
-- Creates the capture triggers, as the caller, who must own the table. One that is there already and calls the same
-- function is left alone, so that its xmin keeps telling whether it was ever disabled.
create function journal.set_triggers(relation regclass, capture text) returns void
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $set_triggers$
declare
    wanted record;
begin
    for wanted in
        select * from (values
            ('journal_insert', 'after insert', 'referencing new table as new_rows'),
            ('journal_update', 'after update', 'referencing old table as old_rows new table as new_rows'),
            ('journal_delete', 'after delete', 'referencing old table as old_rows'),
            ('journal_truncate', 'before truncate', '')) as w (name, event, tables)
    loop
        continue when exists (select from pg_trigger t where t.tgrelid = relation and t.tgname = wanted.name
                                 and t.tgfoid = to_regproc(capture) and t.tgenabled = 'O');
        if exists (select from pg_trigger t where t.tgrelid = relation and t.tgname = wanted.name) then
            execute format('drop trigger %I on %s', wanted.name, journal.qualified_name(relation));
        end if;
        execute format('create trigger %I %s on %s %s for each statement execute function %s()',
                       wanted.name, wanted.event, journal.qualified_name(relation), wanted.tables, capture);
    end loop;
end
$set_triggers$;

comment on function journal.set_triggers(regclass, text) is 'Creates the capture triggers of a table, as the caller.';

-- sql/journal/functions/seal_coverage.sql
-- The last step of cover: remembers the triggers as they were created.
create function journal.seal_coverage(relation regclass) returns void
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
as $seal_coverage$
begin
    if cardinality(journal.trigger_marks(relation)) <> 4 then
        raise exception using errcode = 'JR029', message = format('the capture triggers of %s are not complete', relation);
    end if;
    update journal.covered_table c
       set trigger_marks = journal.trigger_marks(seal_coverage.relation), covered_at = clock_timestamp()
     where c.relation = seal_coverage.relation and c.trigger_marks <> journal.trigger_marks(seal_coverage.relation);
end
$seal_coverage$;

comment on function journal.seal_coverage(regclass) is 'Remembers the capture triggers of a table as they are. Private: call journal.cover.';

-- sql/journal/functions/cover.sql
-- Covers a table, or brings its segment, capture function and triggers to the present. Runs as the table's owner: only
-- the owner may create the triggers; what needs the journal's rights is done by make_segment.
create function journal.cover(
    relation   regclass,
    writers    text default 'all',
    undo       boolean default true,
    exclude    text[] default '{}',
    counters   text[] default '{}',
    maintained text[] default '{}',
    truncate   text default 'refuse',
    strict     boolean default false
) returns jsonb
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $cover$
declare
    options journal.covered_table;
    reason  text;
    capture text;
    before  jsonb := journal.coverage_state(relation);
begin
    reason := journal.why_not_coverable(relation);
    if reason is not null then
        raise exception using
            errcode = 'JR030', message = format('%s cannot be covered: %s', relation, reason), table = relation::text,
            detail = jsonb_build_object('reason', reason);
    end if;
    execute format('lock table only %s in share row exclusive mode', journal.qualified_name(relation));
    options.relation := relation;
    options.writers := writers;
    options.undo := undo;
    options.strict_shape := cover.strict;
    options.on_truncate := truncate;
    options.excluded := journal.column_numbers(relation, exclude, 'excluded');
    options.counters := journal.column_numbers(relation, counters, 'a counter');
    options.maintained := journal.column_numbers(relation, maintained, 'maintained');
    capture := journal.make_segment(relation, options);
    perform journal.set_triggers(relation, capture);
    perform journal.seal_coverage(relation);
    return jsonb_build_object('table', journal.qualified_name(relation), 'before', before, 'after', journal.coverage_state(relation));
end
$cover$;

comment on function journal.cover(regclass, text, boolean, text[], text[], text[], text, boolean) is
    'Covers a table, or brings its coverage to the present; idempotent. writers: all, agents; truncate: refuse. Raises NotCoverable. Returns {table, before, after}.';

-- sql/journal/functions/forget_coverage.sql
-- The definer half of uncover: closes the segment and forgets the options.
create function journal.forget_coverage(relation regclass) returns void
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
as $forget_coverage$
begin
    if cardinality(journal.trigger_marks(relation)) > 0 then
        raise exception using errcode = 'JR029', message = format('%s still has capture triggers', relation);
    end if;
    delete from journal.covered_table c where c.relation = forget_coverage.relation;
    update journal.segment s set until_at = clock_timestamp() where s.relation = forget_coverage.relation and s.until_at is null;
end
$forget_coverage$;

comment on function journal.forget_coverage(regclass) is 'Forgets the coverage of a table without capture triggers. Private: call journal.uncover.';

-- sql/journal/functions/uncover.sql
-- Stops journaling a table. The images stay until retention drops them: what was recorded can still be rolled back.
create function journal.uncover(relation regclass) returns void
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $uncover$
declare
    trigger_name name;
begin
    for trigger_name in
        select t.tgname from pg_trigger t
         where t.tgrelid = relation and t.tgname in ('journal_insert', 'journal_update', 'journal_delete', 'journal_truncate')
    loop
        execute format('drop trigger %I on %s', trigger_name, journal.qualified_name(relation));
    end loop;
    perform journal.forget_coverage(relation);
end
$uncover$;

comment on function journal.uncover(regclass) is 'Stops journaling a table; its images stay. Does nothing where the table is not covered.';


-- journal: what was recorded
-- sql/journal/functions/operation_name.sql
-- The ledger keeps one letter, the views show the word.
create function journal.operation_name(operation "char") returns text
language sql immutable parallel safe
begin atomic
    select case operation when 'I' then 'INSERT' when 'U' then 'UPDATE' when 'D' then 'DELETE' when 'T' then 'TRUNCATE' end;
end;

comment on function journal.operation_name("char") is 'INSERT, UPDATE, DELETE or TRUNCATE for the ledger''s letter.';

-- sql/journal/functions/is_auditor.sql
-- Who sees images that no present privilege can decide about: members of journal_auditor, or of the journal's owner
-- where the cluster has no such role.
create function journal.is_auditor(role_name name) returns boolean
language sql stable
begin atomic
    select coalesce(
        (select pg_catalog.pg_has_role(role_name, r.oid, 'usage') from pg_catalog.pg_roles r where r.rolname = 'journal_auditor'), false)
        or pg_catalog.pg_has_role(role_name, (select n.nspowner from pg_catalog.pg_namespace n where n.nspname = 'journal'), 'usage');
end;

comment on function journal.is_auditor(name) is 'Whether a role may see every image.';

-- sql/journal/functions/visible_columns.sql
-- Images are shown only to whoever may select the column now. Row security cannot be applied to a row that is gone, nor
-- a privilege to a table or column that is: those are the auditor's.
create function journal.visible_columns(segment journal.segment, role_name name) returns int2[]
language sql stable
begin atomic
    select coalesce(pg_catalog.array_agg(a.attnum order by a.n), '{}')
      from unnest(segment.attnums, segment.image_types) with ordinality as a (attnum, stored, n)
     where a.stored is not null
       and (journal.is_auditor(role_name)
            or (exists (select from pg_catalog.pg_class c where c.oid = segment.relation and not c.relrowsecurity)
                and pg_catalog.has_column_privilege(role_name, segment.relation, a.attnum, 'select')));
end;

comment on function journal.visible_columns(journal.segment, name) is 'Attnums of the stored columns whose images a role may see now.';

-- sql/journal/functions/image_texts.sql
-- One side of a segment as an array of texts, in the order of the given columns. Output functions, not casts: a cast of
-- bool prints true for t, and one of char drops its padding.
create function journal.image_texts(side text, attnums int2[]) returns text
language sql immutable
begin atomic
    select coalesce('array[' || pg_catalog.string_agg(
               pg_catalog.format('case when %1$s%2$s is not null then pg_catalog.format(''%%s'', %1$s%2$s) end', side, a.attnum), ', ' order by a.n) || ']::text[]',
               'array[]::text[]')
      from unnest(attnums) with ordinality as a (attnum, n);
end;

comment on function journal.image_texts(text, int2[]) is 'SQL text of one side''s images as an array of texts; side: o before, n after.';

-- sql/journal/functions/image_query.sql
-- The query that shows the images of a segment to somebody who may see the given columns. Its parameters: $1 their
-- names, $2 the names of those that are part of the key; `condition` may use $3 and later ones.
create function journal.image_query(segment journal.segment, visible int2[], condition text) returns text
language sql stable
begin atomic
    select pg_catalog.format($query$
        select i.statement_id,
               case when has then jsonb_object($2, %1$s) when had then jsonb_object($2, %2$s) end,
               case when had then jsonb_object($1, o) end,
               case when has then jsonb_object($1, n) end,
               case when had and has then array(select c.name from unnest($1, o, n) as c (name, o, n) where c.o is distinct from c.n) end,
               null::text[]
          from (select statement_id, o%3$s is not null as had, n%3$s is not null as has, %4$s as o, %5$s as n
                  from journal.segment_%6$s
                 where %7$s
                offset 0) i$query$,
        k.after, k.before, segment.key[1], journal.image_texts('o', visible), journal.image_texts('n', visible), segment.segment_id, condition)
      from (select coalesce(pg_catalog.format('array[%s]', pg_catalog.string_agg('n[' || v.n || ']', ', ' order by v.n)), '{}') as after,
                   coalesce(pg_catalog.format('array[%s]', pg_catalog.string_agg('o[' || v.n || ']', ', ' order by v.n)), '{}') as before
              from unnest(visible) with ordinality as v (attnum, n)
             where v.attnum = any (segment.key)) k;
end;

comment on function journal.image_query(journal.segment, int2[], text) is 'SQL text that reads images of a segment as key, before, after, changed_columns, elided_columns.';

-- sql/journal/functions/column_names.sql
-- Columns by their names at capture.
create function journal.column_names(segment journal.segment, attnums int2[]) returns text[]
language sql immutable
begin atomic
    select coalesce(pg_catalog.array_agg(a.name::text order by a.n), '{}')
      from unnest(segment.attnums, segment.names) with ordinality as a (attnum, name, n)
     where a.attnum = any (attnums);
end;

comment on function journal.column_names(journal.segment, int2[]) is 'Names that the given columns had when the segment was made.';

-- sql/journal/functions/images.sql
-- The images of one statement, as far as the caller may see them. Definer, because segments are private; settings
-- pinned, so that everybody reads the same text.
create function journal.images(segment text, statement_id bigint) returns table (
    key jsonb, before jsonb, after jsonb, changed_columns text[], elided_columns text[]
)
language plpgsql stable security definer rows 10
set search_path = pg_catalog, pg_temp
set jit = off
set datestyle = 'ISO, MDY'
set intervalstyle = postgres
set timezone = UTC
set bytea_output = hex
set extra_float_digits = 1
set xmlbinary = base64
set lc_monetary = 'C'
set quote_all_identifiers = off
as $images$
declare
    shape   journal.segment;
    visible int2[];
begin
    select s.* into shape from journal.segment s where s.segment_id = substr(images.segment, 9)::integer;
    visible := journal.visible_columns(shape, journal.caller());
    return query execute
        'select key, before, after, changed_columns, elided_columns from ('
        || journal.image_query(shape, visible, 'statement_id = $3') || ') as q (statement_id, key, before, after, changed_columns, elided_columns)'
        using journal.column_names(shape, visible),
              journal.column_names(shape, array(select v from unnest(visible) v where v = any (shape.key))),
              images.statement_id;
end
$images$;

comment on function journal.images(text, bigint) is 'Images of one statement of a segment, as far as the caller may see them. Read journal.changes.';

-- sql/journal/views/statements.sql
-- The ledger, attributed: a statement belongs to the last binding before it in its transaction. Two branches, because a
-- filter on a session must start from the session's bindings, and one on time or transaction from the statements.
create view journal.statements as
select b.session_id,
       b.step_id,
       s.statement_id,
       s.transaction_id,
       g.relation,
       g.table_name,
       journal.operation_name(s.operation) as operation,
       s.rows,
       s.executed_at,
       s.db_user::name as db_user,
       coalesce(s.db_role, s.db_user)::name as db_role,
       'segment_' || s.segment_id as segment
  from journal.binding b
 cross join lateral (
       select min(later.statement_id) as statement_id
         from journal.binding later
        where later.transaction_id = b.transaction_id and later.cluster = b.cluster and later.statement_id > b.statement_id
       ) next
  join journal.statement s
    on s.transaction_id = b.transaction_id and s.cluster = b.cluster and s.statement_id > b.statement_id
   and (s.statement_id < next.statement_id or next.statement_id is null)
  join journal.segment g on g.segment_id = s.segment_id
 where b.session_id is not null
union all
select null,
       null,
       s.statement_id,
       s.transaction_id,
       g.relation,
       g.table_name,
       journal.operation_name(s.operation),
       s.rows,
       s.executed_at,
       s.db_user::name,
       coalesce(s.db_role, s.db_user)::name,
       'segment_' || s.segment_id
  from journal.statement s
  join journal.segment g on g.segment_id = s.segment_id
  left join lateral (
       select b.session_id
         from journal.binding b
        where b.transaction_id = s.transaction_id and b.cluster = s.cluster and b.statement_id < s.statement_id
        order by b.statement_id desc
        limit 1
       ) last on true
 where last.session_id is null;

comment on view journal.statements is 'Captured statements and whose they are: counts without images. One row per statement that changed a covered table.';
comment on column journal.statements.session_id is 'Agent session that the statement belongs to; null: unbound.';
comment on column journal.statements.step_id is 'Step of that session; null: outside steps.';
comment on column journal.statements.statement_id is 'Id of the statement: between transactions that change the same row, in the order of the changes.';
comment on column journal.statements.transaction_id is 'Transaction that ran the statement.';
comment on column journal.statements.relation is 'The table, by its present name; a bare number where it was dropped.';
comment on column journal.statements.table_name is 'The table''s name when its segment was made.';
comment on column journal.statements.operation is 'INSERT, UPDATE, DELETE or TRUNCATE. An upsert or MERGE is a statement for each kind of change it made.';
comment on column journal.statements.rows is 'Changed rows.';
comment on column journal.statements.executed_at is 'When the statement started.';
comment on column journal.statements.db_user is 'session_user.';
comment on column journal.statements.db_role is 'The role set, else session_user.';
comment on column journal.statements.segment is 'Segment that holds the images; see journal.segments.';

-- sql/journal/views/changes.sql
-- What was recorded, row by row, as it was recorded (not folded). Images are read statement by statement, so a filter on
-- session, transaction or time reads no others; who may see them is decided in journal.images.
create view journal.changes as
select s.session_id,
       s.step_id,
       s.statement_id,
       s.transaction_id,
       s.executed_at as changed_at,
       s.db_user,
       s.db_role,
       s.relation,
       s.table_name,
       s.operation,
       i.key,
       i.before,
       i.after,
       i.changed_columns,
       i.elided_columns
  from journal.statements s
 cross join lateral journal.images(s.segment, s.statement_id) i;

comment on view journal.changes is
    'Changed rows with their images. Images hold the columns that the caller may select now; of tables with row security or dropped tables only journal_auditor sees any.';
comment on column journal.changes.session_id is 'Agent session that the change belongs to; null: unbound.';
comment on column journal.changes.step_id is 'Step of that session; null: outside steps.';
comment on column journal.changes.statement_id is 'Statement that made the change; see journal.statements.';
comment on column journal.changes.transaction_id is 'Transaction that made the change.';
comment on column journal.changes.changed_at is 'When the statement started.';
comment on column journal.changes.db_user is 'session_user.';
comment on column journal.changes.db_role is 'The role set, else session_user.';
comment on column journal.changes.relation is 'The table, by its present name; a bare number where it was dropped.';
comment on column journal.changes.table_name is 'The table''s name when its segment was made.';
comment on column journal.changes.operation is 'INSERT, UPDATE, DELETE or TRUNCATE.';
comment on column journal.changes.key is 'Primary key after the change, or before it where the row was removed: column to text, by the names at capture.';
comment on column journal.changes.before is 'The row before: column to text as Postgres prints it, null for NULL. Null for an added row.';
comment on column journal.changes.after is 'The row after. Null for a removed row.';
comment on column journal.changes.changed_columns is 'Shown columns whose images differ; null for an added or removed row.';
comment on column journal.changes.elided_columns is 'Large columns that did not change and are therefore in neither image; null: none.';

-- sql/journal/functions/session_changes.sql
-- The changes of one session in the order of their statements.
create function journal.session_changes(session_id uuid) returns setof journal.changes
language sql stable
begin atomic
    select c.* from journal.changes c where c.session_id = session_changes.session_id order by c.statement_id;
end;

comment on function journal.session_changes(uuid) is 'Rows of journal.changes of one session, in the order of their statements.';

-- sql/journal/functions/key_condition.sql
-- Which images are of the row with this key, on one side. Key values arrive as text and are read by the type's input
-- function, so 42 finds 42.0 in a numeric key.
create function journal.key_condition(segment journal.segment, side text, key jsonb) returns text
language sql stable
begin atomic
    select pg_catalog.string_agg(pg_catalog.format('%s%s = %L::%s', side, a.attnum, key ->> a.name::text, pg_catalog.ltrim(a.stored, '*')), ' and ')
      from unnest(segment.attnums, segment.names, segment.image_types) with ordinality as a (attnum, name, stored, n)
     where a.attnum = any (segment.key);
end;

comment on function journal.key_condition(journal.segment, text, jsonb) is 'SQL text: one side of an image is of the row with the given key; null where the key lacks a column.';

-- sql/journal/functions/row_images.sql
-- Every recorded image of the row with this key, segment by segment. Definer, because segments are private; a caller who
-- may not see a key column finds nothing, so keys cannot be probed.
create function journal.row_images(relation regclass, key jsonb) returns table (
    statement_id bigint, row_key jsonb, before jsonb, after jsonb, changed_columns text[], elided_columns text[]
)
language plpgsql stable security definer
set search_path = pg_catalog, pg_temp
set jit = off
set datestyle = 'ISO, MDY'
set intervalstyle = postgres
set timezone = UTC
set bytea_output = hex
set extra_float_digits = 1
set xmlbinary = base64
set lc_monetary = 'C'
set quote_all_identifiers = off
as $row_images$
declare
    shape   journal.segment;
    visible int2[];
begin
    for shape in select s.* from journal.segment s where s.relation = row_images.relation order by s.shape loop
        visible := journal.visible_columns(shape, journal.caller());
        if shape.key <@ visible and key ?& journal.column_names(shape, shape.key) then
            return query execute
                journal.image_query(shape, visible, format('(%s or %s)', journal.key_condition(shape, 'o', key), journal.key_condition(shape, 'n', key)))
                using journal.column_names(shape, visible), journal.column_names(shape, shape.key);
        end if;
    end loop;
end
$row_images$;

comment on function journal.row_images(regclass, jsonb) is 'Images of the row with a key, as far as the caller may see them. Call journal.row_history.';

-- sql/journal/functions/row_history.sql
-- Who changed a row: every recorded change that left it with this key, or found it with this key.
create function journal.row_history(relation regclass, key jsonb) returns setof journal.changes
language sql stable
begin atomic
    select s.session_id, s.step_id, s.statement_id, s.transaction_id, s.executed_at, s.db_user, s.db_role, s.relation, s.table_name,
           s.operation, i.row_key, i.before, i.after, i.changed_columns, i.elided_columns
      from journal.row_images(row_history.relation, row_history.key) i
      join journal.statements s using (statement_id)
     order by s.statement_id;
end;

comment on function journal.row_history(regclass, jsonb) is
    'Rows of journal.changes of the row with this key, such as {"id": 42}, oldest first. Reads all images of the table.';

-- sql/journal/functions/attribute_names.sql
-- Columns by their present names.
create function journal.attribute_names(relation oid, attnums int2[]) returns text[]
language sql stable
begin atomic
    select case when attnums is not null then array(
        select a.attname::text
          from unnest(attnums) with ordinality as k (attnum, n)
          join pg_catalog.pg_attribute a on a.attrelid = relation and a.attnum = k.attnum and not a.attisdropped
         order by k.n) end;
end;

comment on function journal.attribute_names(oid, int2[]) is 'Present names of columns given by number.';

-- sql/journal/views/coverage.sql
-- Every user table and how it is covered. The rules stand in journal.coverage_state.
create view journal.coverage as
select c.oid::regclass as relation,
       journal.qualified_name(c.oid) as table_name,
       state ->> 'status' as status,
       state ->> 'reason' as reason,
       state ->> 'fix' as fix,
       o.writers,
       o.undo,
       o.on_truncate as truncate,
       journal.attribute_names(c.oid, g.key) as key_columns,
       journal.attribute_names(c.oid, o.excluded) as excluded_columns,
       journal.attribute_names(c.oid, o.counters) as counter_columns,
       journal.attribute_names(c.oid, o.maintained) as maintained_columns,
       o.covered_at,
       (state ->> 'gap_since')::timestamptz as gap_since,
       (select min(s.from_at) from journal.segment s where s.relation = c.oid) as oldest_image_at
  from pg_catalog.pg_class c
  join pg_catalog.pg_namespace n on n.oid = c.relnamespace
  left join journal.covered_table o on o.relation = c.oid
  left join journal.segment g on g.segment_id = o.segment_id
 cross join lateral (select journal.coverage_state(c.oid::regclass) as state offset 0) s
 where c.relkind in ('r', 'p', 'f')
   and c.relpersistence <> 't'
   and n.nspname not in ('pg_catalog', 'information_schema', 'journal', 'outbox', 'relay')
   and n.nspname not like 'pg\_%';

comment on view journal.coverage is 'Every user table, covered or not, and what is wrong with its coverage.';
comment on column journal.coverage.relation is 'The table.';
comment on column journal.coverage.table_name is 'Its name, schema-qualified.';
comment on column journal.coverage.status is
    'covered; stale: its shape is not the one that was covered; gap: changes may have gone unrecorded; uncovered; uncoverable.';
comment on column journal.coverage.reason is 'Why the status is neither covered nor uncovered.';
comment on column journal.coverage.fix is 'Command that brings the table to covered; null where there is nothing to do, or nothing that can be done.';
comment on column journal.coverage.writers is 'Whose changes are recorded: all, or agents (transactions bound to a session).';
comment on column journal.coverage.undo is 'Whether its changes can be rolled back; false: recorded only.';
comment on column journal.coverage.truncate is 'What happens to TRUNCATE: capture or refuse.';
comment on column journal.coverage.key_columns is 'Columns of the primary key.';
comment on column journal.coverage.excluded_columns is 'Columns that are never recorded.';
comment on column journal.coverage.counter_columns is 'Columns that many add to: undone by their difference.';
comment on column journal.coverage.maintained_columns is 'Columns that triggers or libraries keep: left out of conflict checks.';
comment on column journal.coverage.covered_at is 'When the triggers of today were created.';
comment on column journal.coverage.gap_since is 'Since when changes may be missing; null: no gap, or not known.';
comment on column journal.coverage.oldest_image_at is 'Where the oldest segment that still exists begins.';

-- sql/journal/functions/retention.sql
-- How long images are kept. The default has its home here.
create function journal.retention() returns interval
language sql immutable parallel safe
begin atomic
    select interval '30 days';
end;

comment on function journal.retention() is 'How long images are kept after their segment was closed.';

-- sql/journal/functions/is_droppable.sql
-- Whether retention may drop a segment. A session that is open and was bound within the last 7 days keeps what it wrote.
create function journal.is_droppable(segment journal.segment) returns boolean
language sql stable security definer
set search_path = pg_catalog, pg_temp
begin atomic
    select segment.until_at is not null
       and segment.until_at < pg_catalog.now() - journal.retention()
       and not exists (
           select
             from journal.session s
             join journal.binding b on b.session_id = s.session_id
             join journal.statement t on t.transaction_id = b.transaction_id and t.cluster = b.cluster
            where s.status = 'open' and t.segment_id = segment.segment_id
              and (select max(l.bound_at) from journal.binding l where l.session_id = s.session_id) > pg_catalog.now() - interval '7 days');
end;

comment on function journal.is_droppable(journal.segment) is 'Whether retention may drop the segment.';

-- sql/journal/views/segments.sql
-- Where the images are. Sizes and estimates are the server's own; nothing is counted.
create view journal.segments as
select 'segment_' || s.segment_id as segment,
       s.relation,
       s.table_name,
       s.shape,
       s.from_at,
       s.until_at,
       greatest(c.reltuples, 0)::bigint as images,
       pg_catalog.pg_total_relation_size(c.oid) as bytes,
       journal.is_droppable(s) as droppable
  from journal.segment s
  join pg_catalog.pg_class c on c.relnamespace = 'journal'::pg_catalog.regnamespace and c.relname = 'segment_' || s.segment_id;

comment on view journal.segments is 'Physical tables that hold the images of one covered table, for one shape of it and one period.';
comment on column journal.segments.segment is 'Name of the segment.';
comment on column journal.segments.relation is 'The covered table, by its present name; a bare number where it was dropped.';
comment on column journal.segments.table_name is 'The table''s name when the segment was made.';
comment on column journal.segments.shape is 'Number of the table''s shape, from 1.';
comment on column journal.segments.from_at is 'When the segment was made.';
comment on column journal.segments.until_at is 'When the next one took over, or the table was uncovered; null: in use.';
comment on column journal.segments.images is 'Images, as the server estimates them.';
comment on column journal.segments.bytes is 'Size on disk with indexes and large values.';
comment on column journal.segments.droppable is 'Whether retention may drop it: no longer in use, and nothing in it is young enough or needed by a session that is open.';


-- journal: sessions, steps and receipts
-- sql/journal/tables/reversal.sql
-- Which sessions and steps a rollback took back. Insert only: a rollback that is rolled back itself no longer counts.
create table journal.reversal (
    reversal_id bigint generated always as identity primary key,
    session_id  uuid not null,
    step_id     uuid,
    rollback_id uuid not null,
    partly      boolean not null default false,
    reversed_at timestamptz not null default clock_timestamp()
);

create index reversal_session on journal.reversal (session_id);

comment on table journal.reversal is 'Sessions and steps that were rolled back. Private; read journal.sessions, journal.steps and journal.receipts.';
comment on column journal.reversal.step_id is 'Null: the whole session.';
comment on column journal.reversal.partly is 'Some of it was left as it is: conflicts skipped.';

-- sql/journal/tables/step.sql
-- One row per try of a step, insert only: written when the try begins, or after a failed try was rolled back. A try that has
-- begun is completed by its receipt; one that was committed without a receipt has an unknown outcome, and keeps its key.
create table journal.step (
    step_id          uuid primary key,
    session_id       uuid not null,
    tool             text not null,
    kind             text,
    tenant           text not null,
    key              text,
    attempt          integer not null,
    status           text not null check (status in ('begun', 'replayed', 'failed')),
    holds_key        boolean not null,
    replay_of        uuid,
    arguments        jsonb,
    arguments_digest text,
    details          jsonb,
    result           jsonb,
    error            jsonb,
    transaction_id   xid8 not null,
    cluster          bigint not null,
    started_at       timestamptz not null,
    ended_at         timestamptz,
    key_expires_at   timestamptz,
    outer_session_id uuid,
    outer_step_id    uuid,
    db_user          name not null,
    db_role          name not null
);

-- The reservation of a key: a second caller waits here until the first has committed or rolled back.
create unique index step_key on journal.step (tenant, tool, key, attempt) where holds_key;
create index step_session on journal.step (session_id);

comment on table journal.step is 'Tries of steps, and the keys they hold. Private; read journal.steps.';
comment on column journal.step.holds_key is 'Whether this try is what a retry of its key finds. Turned off when the key has expired.';
comment on column journal.step.result is 'The recorded failure of a try that failed for good; the result of a completed step is in its receipt.';
comment on column journal.step.outer_session_id is 'What the transaction was bound to when the step began; it is bound again when the step ends.';

-- sql/journal/tables/receipt.sql
-- One row per completed step, in the commit of the step. The document is all that the receipt says; it is never changed.
create table journal.receipt (
    receipt_id uuid primary key,
    step_id    uuid not null unique,
    document   jsonb not null,
    digest     text not null
);

comment on table journal.receipt is 'Receipts: what a completed step did. Private; read journal.receipts.';
comment on column journal.receipt.digest is '''sha256:'' and the hex digest of the document as Postgres prints it, in UTF-8.';

-- sql/journal/functions/binding_digest.sql
-- The keyed digest of a binding token, nested against length extension. Takes text: what a forger wrote is never cast.
-- In plpgsql, because that keeps its plan: capture asks for every statement.
create function journal.binding_digest(session_id text, step_id text, transaction_id xid8) returns text
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $binding_digest$
declare
    key bytea;
begin
    select s.secret into key from journal.secret s;
    return encode(sha256(key || sha256(key || convert_to(concat_ws('|', session_id, coalesce(step_id, ''), transaction_id::text), 'UTF8'))), 'hex');
end
$binding_digest$;

comment on function journal.binding_digest(text, text, xid8) is 'The keyed digest of a binding token. Private.';

-- sql/journal/functions/bound_session.sql
-- Who the transaction is bound to, told by a transaction-local setting that only bind can write. Capture and publish ask for
-- every statement: it looks nothing up that others write.
create function journal.bound_session(out session_id uuid, out step_id uuid) returns setof record
language plpgsql stable security definer rows 1
set search_path = pg_catalog, pg_temp
as $bound_session$
declare
    token constant text := current_setting('journal.binding', true);
begin
    if coalesce(token, '') = '' or split_part(token, '|', 3) is distinct from journal.binding_digest(
           split_part(token, '|', 1), split_part(token, '|', 2), pg_current_xact_id_if_assigned()) then
        return;
    end if;
    session_id := split_part(token, '|', 1)::uuid;
    step_id := nullif(split_part(token, '|', 2), '')::uuid;
    return next;
end
$bound_session$;

comment on function journal.bound_session() is 'Session and step that the transaction is bound to; no row when it is unbound.';

-- sql/journal/functions/set_binding.sql
-- Writes where a binding begins among the statements of its transaction, and the token that proves it. A null session unbinds.
create function journal.set_binding(session_id uuid, step_id uuid) returns void
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $set_binding$
begin
    insert into journal.binding (statement_id, transaction_id, cluster, session_id, step_id, bound_at)
    values (nextval('journal.statement_id'), pg_current_xact_id(), journal.cluster_id(), set_binding.session_id, set_binding.step_id,
            clock_timestamp());
    if set_binding.session_id is null then
        perform set_config('journal.binding', '', true);
        return;
    end if;
    perform set_config('journal.binding', concat_ws('|', set_binding.session_id, coalesce(set_binding.step_id::text, ''),
                           journal.binding_digest(set_binding.session_id::text, set_binding.step_id::text, pg_current_xact_id())), true);
    perform set_config('journal.session', set_binding.session_id::text, true);
end
$set_binding$;

comment on function journal.set_binding(uuid, uuid) is 'Binds the transaction, without asking whether that may be. Private: call journal.bind.';

-- sql/journal/functions/raise_unknown_session.sql
-- One wording for a session that is not there.
create function journal.raise_unknown_session(session_id uuid) returns void
language plpgsql immutable
set search_path = pg_catalog, pg_temp
as $raise_unknown_session$
begin
    raise exception using
        errcode = 'JR009', message = format('there is no session %s', coalesce(session_id::text, 'without an id')),
        hint = 'journal.sessions lists them';
end
$raise_unknown_session$;

comment on function journal.raise_unknown_session(uuid) is 'Raises UnknownSession. Private.';

-- sql/journal/functions/refuse_stopped.sql
-- Raises when the session, or its agent, carries a mark that nobody has lifted.
create function journal.refuse_stopped(session_id uuid, agent text) returns void
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $refuse_stopped$
declare
    mark journal.stop;
begin
    select p.* into mark from journal.stop p
     where (p.session_id = refuse_stopped.session_id or p.agent = refuse_stopped.agent) and p.lifted_at is null
     limit 1;
    if found then
        raise exception using
            errcode = 'JR011',
            message = case when mark.agent is null then format('session %s was stopped', mark.session_id)
                           else format('agent %s was stopped', mark.agent) end || coalesce(': ' || nullif(mark.reason, ''), ''),
            hint = case when mark.agent is null then 'a stopped session stays stopped; ask whoever stopped it'
                        else 'journal.resume_agent lets it work again' end;
    end if;
end
$refuse_stopped$;

comment on function journal.refuse_stopped(uuid, text) is 'Raises SessionStopped where a session or its agent was stopped. Private.';

-- sql/journal/functions/is_related.sql
-- Two sessions may share a transaction when one descends from the other.
create function journal.is_related(one uuid, other uuid) returns boolean
language sql stable
begin atomic
    with recursive up as (
        select s.session_id, s.parent_session_id from journal.session s where s.session_id in (one, other)
        union
        select p.session_id, p.parent_session_id from up join journal.session p on p.session_id = up.parent_session_id
    )
    select one = other or exists (select from up where up.parent_session_id in (one, other));
end;

comment on function journal.is_related(uuid, uuid) is 'Whether one session is the other, or its parent, child or farther descendant.';

-- sql/journal/functions/enter_session.sql
-- Whether a session may be bound now. A mark in journal.stop is looked for before the row lock is asked for, so overlapping
-- steps cannot starve a rollback; the lock waits for a rollback, and fails where a snapshot is too old to see its outcome.
create function journal.enter_session(session_id uuid) returns journal.session
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $enter_session$
declare
    entered journal.session;
    bound   constant text := nullif(current_setting('journal.session', true), '');
begin
    select s.* into entered from journal.session s where s.session_id = enter_session.session_id;
    if not found then
        perform journal.raise_unknown_session(enter_session.session_id);
    end if;
    if bound <> enter_session.session_id::text and not journal.is_related(bound::uuid, enter_session.session_id) then
        raise exception using
            errcode = 'JR006', message = format('the transaction belongs to session %s already', bound),
            hint = 'one transaction belongs to one session and its child sessions; commit before another session works';
    end if;
    perform journal.refuse_stopped(entered.session_id, entered.agent);
    select s.* into entered from journal.session s where s.session_id = enter_session.session_id for share;
    if entered.status <> 'open' then
        raise exception using
            errcode = case entered.status when 'stopped' then 'JR011' else 'JR010' end,
            message = format('session %s is %s%s', entered.session_id, entered.status, coalesce(': ' || nullif(entered.status_reason, ''), '')),
            hint = 'open a new session';
    end if;
    if entered.db_user <> session_user then
        raise exception using
            errcode = 'JR012', message = format('session %s was opened by another database user', entered.session_id),
            hint = 'a session is used by the database user that opened it; open one of your own';
    end if;
    return entered;
end
$enter_session$;

comment on function journal.enter_session(uuid) is 'Locks an open session of the caller''s for the transaction. Private: call journal.bind.';

-- sql/journal/functions/bind.sql
-- From here on the transaction's changes belong to the session (and step), until it ends or is bound anew.
create function journal.bind(session_id uuid, step_id uuid default null) returns xid8
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
as $bind$
begin
    perform journal.enter_session(bind.session_id);
    if bind.step_id is not null
       and not exists (select from journal.step s where s.step_id = bind.step_id and s.session_id = bind.session_id) then
        raise exception using
            errcode = 'JR013', message = format('session %s has no step %s', bind.session_id, bind.step_id),
            hint = 'journal.begin_step begins one and binds it';
    end if;
    perform journal.set_binding(bind.session_id, bind.step_id);
    return pg_current_xact_id();
end
$bind$;

comment on function journal.bind(uuid, uuid) is
    'Binds the transaction to an open session of the caller''s: its changes and messages belong to it from here on. Raises UnknownSession, SessionClosed, SessionStopped, NotSessionOwner, AlreadyBound. Returns the transaction''s id.';

-- sql/journal/functions/open_session.sql
-- Opens an agent session, or returns the open one that the run id names already.
create function journal.open_session(
    agent   text,
    task    text default '',
    parent  uuid default null,
    details jsonb default '{}',
    run_id  text default null,
    tenant  text default '',
    hold    text default null,
    role    text default null
) returns uuid
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
as $open_session$
#variable_conflict use_column
declare
    opened uuid := outbox.uuid7();
    above  journal.session;
    there  journal.session;
begin
    if coalesce(open_session.agent, '') = '' then
        raise exception using errcode = 'JR008', message = 'a session needs the name of its agent';
    end if;
    if open_session.parent is not null then
        above := journal.enter_session(open_session.parent);
        if open_session.tenant not in ('', above.tenant) then
            raise exception using errcode = 'JR008', message = 'a child session belongs to the tenant of its parent';
        end if;
    end if;
    perform journal.refuse_stopped(null, open_session.agent);
    if open_session.role is not null and not pg_has_role(session_user, open_session.role, 'member') then
        raise exception using
            errcode = 'JR008', message = format('%I may not act as the role %I', session_user, open_session.role),
            hint = format('grant %I to %I', open_session.role, session_user);
    end if;
    insert into journal.session
           (session_id, parent_session_id, agent, task, tenant, run_id, db_user, db_role, application_name, hold, details)
    values (opened, open_session.parent, open_session.agent, coalesce(open_session.task, ''),
            coalesce(nullif(open_session.tenant, ''), above.tenant, ''), open_session.run_id, session_user,
            coalesce(open_session.role, journal.caller()), current_setting('application_name'), open_session.hold,
            coalesce(open_session.details, '{}'))
        on conflict (tenant, agent, run_id) where run_id is not null do nothing;
    if found then
        return opened;
    end if;
    select s.* into there from journal.session s
     where s.tenant = coalesce(nullif(open_session.tenant, ''), above.tenant, '')
       and s.agent = open_session.agent and s.run_id = open_session.run_id;
    return (journal.enter_session(there.session_id)).session_id;
end
$open_session$;

comment on function journal.open_session(text, text, uuid, jsonb, text, text, text, text) is
    'Opens an agent session and returns its id. run_id is unique per tenant and agent: where it names an open session, that one is returned. hold: close, approve or a duration; role: set in each step. Raises SessionClosed, SessionStopped, NotSessionOwner.';

-- sql/journal/functions/close_session.sql
-- Waits until the session's running transactions have ended. Closing what is not open any more changes nothing.
create function journal.close_session(session_id uuid, status text default 'closed', reason text default null) returns void
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
as $close_session$
declare
    owner name;
begin
    if close_session.status not in ('closed', 'failed') then
        raise exception using errcode = 'JR008', message = 'a session is closed as closed or failed';
    end if;
    select s.db_user into owner from journal.session s where s.session_id = close_session.session_id;
    if not found then
        perform journal.raise_unknown_session(close_session.session_id);
    end if;
    if owner <> session_user then
        raise exception using
            errcode = 'JR012', message = format('session %s was opened by another database user', close_session.session_id),
            hint = 'an operator stops sessions of others: journal.stop_session';
    end if;
    update journal.session s
       set status = close_session.status, status_reason = close_session.reason, closed_at = clock_timestamp()
     where s.session_id = close_session.session_id and s.status = 'open'
       and not exists (select from journal.stop p where p.session_id = s.session_id and p.lifted_at is null);
end
$close_session$;

comment on function journal.close_session(uuid, text, text) is
    'Closes a session of the caller''s as closed or failed. Does nothing to one that is not open. Raises UnknownSession, NotSessionOwner.';

-- sql/journal/functions/stop_session.sql
-- Marks a session, and the sessions it opened, so that they cannot bind any more. Waits for nobody: a step that is running may
-- still commit.
create function journal.stop_session(session_id uuid, reason text default '') returns void
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
as $stop_session$
begin
    if not exists (select from journal.session s where s.session_id = stop_session.session_id) then
        perform journal.raise_unknown_session(stop_session.session_id);
    end if;
    insert into journal.stop (session_id, reason, db_user)
    with recursive down as (
        select s.session_id, s.status from journal.session s where s.session_id = stop_session.session_id
        union
        select c.session_id, c.status from down join journal.session c on c.parent_session_id = down.session_id
    )
    select down.session_id, coalesce(stop_session.reason, ''), session_user
      from down
     where down.status = 'open'
       and not exists (select from journal.stop p where p.session_id = down.session_id and p.lifted_at is null);
end
$stop_session$;

comment on function journal.stop_session(uuid, text) is
    'Stops a session and its child sessions for good: from the commit on they bind no more. One that is not open stays as it is. Raises UnknownSession.';

-- sql/journal/functions/stop_agent.sql
-- Marks an agent: none of its sessions can bind, and it can open none, until it is resumed.
create function journal.stop_agent(agent text, reason text default '') returns void
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
as $stop_agent$
begin
    if coalesce(stop_agent.agent, '') = '' then
        raise exception using errcode = 'JR008', message = 'name the agent that is to stop';
    end if;
    insert into journal.stop (agent, reason, db_user)
    select stop_agent.agent, coalesce(stop_agent.reason, ''), session_user
     where not exists (select from journal.stop p where p.agent = stop_agent.agent and p.lifted_at is null);
end
$stop_agent$;

comment on function journal.stop_agent(text, text) is
    'Stops an agent by its name, until journal.resume_agent: from the commit on its sessions bind no more and it opens none.';

-- sql/journal/functions/resume_agent.sql
-- Lifts the mark of stop_agent. Sessions that were stopped one by one stay stopped.
create function journal.resume_agent(agent text) returns boolean
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
as $resume_agent$
begin
    update journal.stop p set lifted_at = clock_timestamp() where p.agent = resume_agent.agent and p.lifted_at is null;
    return found;
end
$resume_agent$;

comment on function journal.resume_agent(text) is 'Lets a stopped agent work again. Returns whether it was stopped.';

-- sql/journal/functions/abandoned_after.sql
-- An open session that nobody has bound for this long no longer holds anything up.
create function journal.abandoned_after() returns interval
language sql immutable parallel safe
begin atomic
    select interval '7 days';
end;

comment on function journal.abandoned_after() is 'How long an open session may be without a bind before it counts as abandoned.';

-- sql/journal/functions/effective_rollback.sql
-- The rollback that took back a session, or one step of it: null where there is none, or where each was itself rolled back.
create function journal.effective_rollback(session_id uuid, step_id uuid default null) returns uuid
language plpgsql stable security definer
set search_path = pg_catalog, pg_temp
as $effective_rollback$
declare
    candidate uuid;
begin
    for candidate in
        select r.rollback_id from journal.reversal r
         where r.session_id = effective_rollback.session_id and (r.step_id is null or r.step_id = effective_rollback.step_id)
         order by r.reversal_id desc
    loop
        if journal.effective_rollback(candidate) is null then
            return candidate;
        end if;
    end loop;
    return null;
end
$effective_rollback$;

comment on function journal.effective_rollback(uuid, uuid) is
    'The rollback that a session or step is taken back by, null where it is in effect. A rollback that was rolled back does not count.';

-- sql/journal/functions/is_reversed.sql
-- Whether what a step did was taken back, and is still taken back.
create function journal.is_reversed(step_id uuid) returns boolean
language plpgsql stable security definer
set search_path = pg_catalog, pg_temp
as $is_reversed$
begin
    return (select journal.effective_rollback(s.session_id, s.step_id) is not null from journal.step s where s.step_id = is_reversed.step_id);
end
$is_reversed$;

comment on function journal.is_reversed(uuid) is 'Whether a step is taken back by a rollback that is itself in effect; null where there is no such step.';

-- sql/journal/functions/session_reversed.sql
-- How much of a session is taken back by rollbacks that are themselves in effect.
create function journal.session_reversed(session_id uuid) returns text
language plpgsql stable security definer
set search_path = pg_catalog, pg_temp
as $session_reversed$
declare
    taken_back journal.reversal;
    answer     text := 'no';
begin
    for taken_back in select r.* from journal.reversal r where r.session_id = session_reversed.session_id loop
        if journal.effective_rollback(taken_back.rollback_id) is null then
            if taken_back.step_id is null and not taken_back.partly then
                return 'fully';
            end if;
            answer := 'partly';
        end if;
    end loop;
    return answer;
end
$session_reversed$;

comment on function journal.session_reversed(uuid) is 'no, partly or fully.';

-- sql/journal/functions/reverse_steps.sql
-- What a rollback took back: whole sessions, or single steps of them. Rolling back the rollback makes them valid again.
create function journal.reverse_steps(session_ids uuid[], step_ids uuid[], rollback_id uuid, partly boolean default false)
returns table (keys bigint, receipts bigint)
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $reverse_steps$
begin
    select count(*) filter (where s.holds_key), count(*) into keys, receipts
      from journal.step s
      join journal.receipt r on r.step_id = s.step_id
     where s.session_id = any (reverse_steps.session_ids)
       and (reverse_steps.step_ids is null or s.step_id = any (reverse_steps.step_ids))
       and journal.effective_rollback(s.session_id, s.step_id) is null;
    insert into journal.reversal (session_id, step_id, rollback_id, partly)
    select t.session_id, t.step_id, reverse_steps.rollback_id, reverse_steps.partly
      from (
           select named.session_id, null::uuid from unnest(reverse_steps.session_ids) as named (session_id) where reverse_steps.step_ids is null
           union all
           select s.session_id, s.step_id from journal.step s where s.step_id = any (reverse_steps.step_ids)
           ) as t (session_id, step_id);
    return next;
end
$reverse_steps$;

comment on function journal.reverse_steps(uuid[], uuid[], uuid, boolean) is
    'Marks sessions, or with step_ids single steps, as taken back by a rollback. Returns how many keys and receipts were in effect before. Private.';

-- sql/journal/functions/check_step.sql
-- Refuses a step that is called in a wrong way, before anything runs.
create function journal.check_step(tool text, key text, attempt integer, kind text) returns void
language plpgsql immutable
set search_path = pg_catalog, pg_temp
as $check_step$
begin
    if coalesce(tool, '') = '' or octet_length(tool) > 512 then
        raise exception using errcode = 'JR013', message = 'a step needs the name of its tool, of 1 to 512 bytes';
    elsif octet_length(key) not between 1 and 512 then
        raise exception using
            errcode = 'JR014', message = format('the key of a step has 1 to 512 bytes, not %s', octet_length(key)),
            hint = 'name what the effect is about, such as order-42', detail = jsonb_build_object('tool', tool);
    elsif attempt is null or attempt < 1 then
        raise exception using
            errcode = 'JR014', message = 'attempts are counted from 1', detail = jsonb_build_object('tool', tool, 'key', key);
    elsif kind not in ('read', 'idempotent', 'reversible', 'compensable', 'irreversible') then
        raise exception using
            errcode = 'JR042', message = format('there is no kind of tool %L', kind),
            hint = 'read, idempotent, reversible, compensable or irreversible';
    end if;
end
$check_step$;

comment on function journal.check_step(text, text, integer, text) is 'Raises StepError, InvalidKey or UnknownKind. Private.';

-- sql/journal/functions/key_retention.sql
-- How long a retry finds what its key did.
create function journal.key_retention() returns interval
language sql immutable parallel safe
begin atomic
    select interval '30 days';
end;

comment on function journal.key_retention() is 'How long a key is kept after its step began.';

-- sql/journal/functions/arguments_digest.sql
-- What is kept of arguments that are not to be stored: enough to notice others under the same key.
create function journal.arguments_digest(arguments jsonb) returns text
language sql immutable parallel safe
begin atomic
    select 'sha256:' || pg_catalog.encode(pg_catalog.sha256(pg_catalog.convert_to(arguments::text, 'UTF8')), 'hex');
end;

comment on function journal.arguments_digest(jsonb) is 'Digest of arguments that are not stored.';

-- sql/journal/functions/arguments_differ.sql
-- Arguments are compared as jsonb, or by digest where they were not stored.
create function journal.arguments_differ(one journal.step, other journal.step) returns boolean
language sql immutable
begin atomic
    select case when (one).arguments_digest is null and (other).arguments_digest is null
                then (one).arguments is distinct from (other).arguments
                else coalesce((one).arguments_digest, journal.arguments_digest((one).arguments))
                     is distinct from coalesce((other).arguments_digest, journal.arguments_digest((other).arguments)) end;
end;

comment on function journal.arguments_differ(journal.step, journal.step) is 'Whether two tries were called with other arguments.';

-- sql/journal/functions/differing_arguments.sql
-- Names only: what an error says may be shown to a model.
create function journal.differing_arguments(one jsonb, other jsonb) returns text[]
language sql immutable
begin atomic
    select coalesce(array_agg(name order by name), '{}')
      from (
           select coalesce(a.key, b.key) as name
             from pg_catalog.jsonb_each(case pg_catalog.jsonb_typeof(one) when 'object' then one else '{}' end) a
             full join pg_catalog.jsonb_each(case pg_catalog.jsonb_typeof(other) when 'object' then other else '{}' end) b on a.key = b.key
            where a.value is distinct from b.value
           ) differing;
end;

comment on function journal.differing_arguments(jsonb, jsonb) is 'Names of the arguments whose values differ.';

-- sql/journal/functions/new_step.sql
-- A try of a step that begins now, not written yet.
create function journal.new_step(
    home journal.session, tool text, key text, arguments jsonb, attempt integer, details jsonb, kind text, store_arguments boolean
) returns journal.step
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $new_step$
declare
    try journal.step;
begin
    try.step_id := outbox.uuid7();
    try.session_id := home.session_id;
    try.tool := new_step.tool;
    try.kind := new_step.kind;
    try.tenant := home.tenant;
    try.key := new_step.key;
    try.attempt := new_step.attempt;
    try.status := 'begun';
    try.holds_key := new_step.key is not null;
    if new_step.store_arguments then
        try.arguments := new_step.arguments;
    else
        try.arguments_digest := journal.arguments_digest(new_step.arguments);
    end if;
    try.details := new_step.details;
    try.transaction_id := pg_current_xact_id();
    try.cluster := journal.cluster_id();
    try.started_at := clock_timestamp();
    if try.holds_key then
        try.key_expires_at := try.started_at + journal.key_retention();
    end if;
    select b.session_id, b.step_id into try.outer_session_id, try.outer_step_id from journal.bound_session() b;
    try.db_user := session_user;
    try.db_role := home.db_role;
    return try;
end
$new_step$;

comment on function journal.new_step(journal.session, text, text, jsonb, integer, jsonb, text, boolean) is 'A try of a step that begins now. Private.';

-- sql/journal/functions/insert_step.sql
-- Writes a try. False: another try holds its key. Waits for one that is running, at most as long as lock_timeout says.
create function journal.insert_step(try journal.step) returns boolean
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $insert_step$
begin
    insert into journal.step select try.* on conflict (tenant, tool, key, attempt) where holds_key do nothing;
    return found;
end
$insert_step$;

comment on function journal.insert_step(journal.step) is 'Writes a try of a step; false where its key is held. Private.';

-- sql/journal/functions/raise_in_progress.sql
-- One wording for a key whose step is running elsewhere.
create function journal.raise_in_progress(try journal.step) returns void
language plpgsql immutable
set search_path = pg_catalog, pg_temp
as $raise_in_progress$
begin
    raise exception using
        errcode = 'JR016', message = 'another caller is running the step of this key',
        hint = 'call again with the same key: that returns its result, or runs the step if the other call failed',
        detail = jsonb_build_object('tool', try.tool, 'key', try.key, 'retry_after', 1);
end
$raise_in_progress$;

comment on function journal.raise_in_progress(journal.step) is 'Raises StepInProgress. Private.';

-- sql/journal/functions/next_attempt.sql
-- The attempt that a caller goes on with: the last one while it is in effect, else the one after it.
create function journal.next_attempt(held journal.step) returns integer
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $next_attempt$
declare
    last journal.step;
begin
    select s.* into last from journal.step s
     where s.tenant = held.tenant and s.tool = held.tool and s.key = held.key and s.holds_key
     order by s.attempt desc
     limit 1;
    if last.status = 'failed' or journal.effective_rollback(last.session_id, last.step_id) is not null then
        return last.attempt + 1;
    end if;
    return last.attempt;
end
$next_attempt$;

comment on function journal.next_attempt(journal.step) is 'The attempt of a key that is in effect, or may be made next. Private.';

-- sql/journal/functions/check_attempt.sql
-- A later attempt is made only after the one before it was taken back or failed for good: counting up must not run an effect twice.
create function journal.check_attempt(try journal.step) returns void
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $check_attempt$
declare
    previous journal.step;
begin
    if try.attempt = 1 then
        return;
    end if;
    select s.* into previous from journal.step s
     where s.tenant = try.tenant and s.tool = try.tool and s.key = try.key and s.attempt = try.attempt - 1 and s.holds_key;
    if previous.status = 'failed' or journal.effective_rollback(previous.session_id, previous.step_id) is not null then
        return;
    end if;
    raise exception using
        errcode = 'JR014', message = format('attempt %s of this key is not due', try.attempt),
        hint = case when previous.step_id is null then format('attempt %s was never made', try.attempt - 1)
                    else format('attempt %s is in effect; call with that to get its result', try.attempt - 1) end,
        detail = jsonb_build_object('tool', try.tool, 'key', try.key);
end
$check_attempt$;

comment on function journal.check_attempt(journal.step) is 'Raises InvalidKey where an attempt is not due. Private.';

-- sql/journal/functions/reserve_key.sql
-- Reserves the key of a try by writing the try. Returns nulls, or the try that holds the key. A concurrent holder is waited for
-- through the unique index; the lock timeout is set for that and put back.
create function journal.reserve_key(try journal.step, wait interval) returns journal.step
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $reserve_key$
declare
    holder  journal.step;
    patient constant text := current_setting('lock_timeout');
    done    boolean;
begin
    loop
        begin
            perform set_config('lock_timeout', greatest(1, ceil(extract(epoch from reserve_key.wait) * 1000))::text, true);
            done := journal.insert_step(try);
        exception
            when lock_not_available then
                perform journal.raise_in_progress(try);
        end;
        perform set_config('lock_timeout', patient, true);
        if done then
            return null;
        end if;
        select s.* into holder from journal.step s
         where s.tenant = try.tenant and s.tool = try.tool and s.key = try.key and s.attempt = try.attempt and s.holds_key;
        if holder.key_expires_at > clock_timestamp() then
            return holder;
        end if;
        update journal.step s set holds_key = false where s.step_id = holder.step_id and s.holds_key;
    end loop;
end
$reserve_key$;

comment on function journal.reserve_key(journal.step, interval) is 'Reserves the key of a try, or returns the try that holds it. Raises StepInProgress. Private.';

-- sql/journal/functions/outcome_of_key.sql
-- What a retry is told about the try that holds its key: nothing where it is to be replayed, else an error.
create function journal.outcome_of_key(holder journal.step, try journal.step) returns void
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $outcome_of_key$
declare
    names constant jsonb := jsonb_build_object('tool', try.tool, 'key', try.key);
    completed constant boolean := exists (select from journal.receipt r where r.step_id = holder.step_id);
    rollback_id uuid;
begin
    if journal.arguments_differ(holder, try) then
        raise exception using
            errcode = 'JR015', message = 'this key was used with other arguments',
            hint = 'a key stands for one effect: use another key for another effect',
            detail = names || jsonb_build_object('differences', journal.differing_arguments(holder.arguments, try.arguments));
    elsif holder.status = 'failed' then
        raise exception using
            errcode = 'JR018', message = 'the step of this key failed, and said so',
            hint = format('attempt %s runs it anew', holder.attempt + 1),
            detail = names || jsonb_build_object('result', holder.result);
    elsif not completed and holder.transaction_id = pg_current_xact_id_if_assigned() then
        perform journal.raise_in_progress(try);
    elsif not completed then
        raise exception using
            errcode = 'JR013', message = 'the outcome of this key is unknown: its step was committed before it was completed',
            hint = format('see what step %s changed: journal.changes', holder.step_id), detail = names;
    end if;
    rollback_id := journal.effective_rollback(holder.session_id, holder.step_id);
    if rollback_id is not null then
        raise exception using
            errcode = 'JR017', message = 'the step of this key was rolled back',
            hint = format('attempt %s runs it anew', journal.next_attempt(holder)),
            detail = names || jsonb_build_object('rollback_id', rollback_id, 'next_attempt', journal.next_attempt(holder));
    end if;
end
$outcome_of_key$;

comment on function journal.outcome_of_key(journal.step, journal.step) is
    'Raises ArgumentsDiffer, StepFailed, StepReversed or StepInProgress where a key is held by a step that cannot be replayed. Private.';

-- sql/journal/functions/begin_step.sql
-- Begins a step in the open transaction and binds it. A key that was completed before is replayed: its result is returned, and
-- the caller runs nothing. Complete the step in the same transaction, with journal.complete_step.
create function journal.begin_step(
    session_id      uuid,
    tool            text,
    key             text default null,
    arguments       jsonb default null,
    attempt         integer default 1,
    wait            interval default '10 s',
    details         jsonb default null,
    kind            text default null,
    store_arguments boolean default true,
    out step_id     uuid,
    out replayed    boolean,
    out result      jsonb,
    out receipt_id  uuid
)
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
as $begin_step$
declare
    home   journal.session;
    try    journal.step;
    holder journal.step;
begin
    perform journal.check_step(begin_step.tool, begin_step.key, begin_step.attempt, begin_step.kind);
    home := journal.enter_session(begin_step.session_id);
    try := journal.new_step(home, begin_step.tool, begin_step.key, begin_step.arguments, begin_step.attempt,
                            begin_step.details, begin_step.kind, begin_step.store_arguments);
    replayed := false;
    step_id := try.step_id;
    if not try.holds_key then
        perform journal.insert_step(try);
    else
        perform journal.check_attempt(try);
        holder := journal.reserve_key(try, begin_step.wait);
        if holder.step_id is not null then
            perform journal.outcome_of_key(holder, try);
            try.status := 'replayed';
            try.holds_key := false;
            try.key_expires_at := null;
            try.replay_of := holder.step_id;
            try.ended_at := clock_timestamp();
            perform journal.insert_step(try);
            replayed := true;
            select r.document -> 'result', r.receipt_id into result, receipt_id from journal.receipt r where r.step_id = holder.step_id;
        end if;
    end if;
    perform journal.set_binding(begin_step.session_id, try.step_id);
end
$begin_step$;

comment on function journal.begin_step(uuid, text, text, jsonb, integer, interval, jsonb, text, boolean) is
    'Begins a step in the open transaction: reserves the key (waits at most wait for a concurrent holder) and binds the transaction. replayed: the key was completed before; result and receipt_id are those of then, run nothing. Raises InvalidKey, ArgumentsDiffer, StepInProgress, StepReversed, StepFailed, UnknownKind and the errors of journal.bind.';

-- sql/journal/functions/utc.sql
-- Documents are digested: a time in them reads the same whatever the caller's settings. Stable, or it would not be inlined.
create function journal.utc(at timestamptz) returns text
language sql stable parallel safe
begin atomic
    select pg_catalog.to_char(at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"');
end;

comment on function journal.utc(timestamptz) is 'A time in UTC, ISO 8601, with microseconds and Z.';

-- sql/journal/functions/step_changes.sql
-- What a step of the running transaction changed so far, counted in the ledger; no image is read.
create function journal.step_changes(step_id uuid) returns jsonb
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $step_changes$
declare
    counts jsonb;
begin
    select jsonb_object_agg(counted.table_name, counted.operations) into counts
      from (
           select summed.table_name, jsonb_object_agg(lower(journal.operation_name(summed.operation)), summed.rows) as operations
             from (
                  select coalesce(journal.qualified_name(g.relation), g.table_name) as table_name, s.operation, sum(s.rows) as rows
                    from journal.statement s
                    join journal.segment g on g.segment_id = s.segment_id
                   where s.transaction_id = pg_current_xact_id()
                     and s.cluster = journal.cluster_id()
                     and step_changes.step_id = (
                         select b.step_id from journal.binding b
                          where b.transaction_id = s.transaction_id and b.cluster = s.cluster and b.statement_id < s.statement_id
                          order by b.statement_id desc
                          limit 1)
                   group by 1, 2
                  ) summed
            group by summed.table_name
           ) counted;
    return coalesce(counts, '{}');
end
$step_changes$;

comment on function journal.step_changes(uuid) is 'Row counts of a step of the running transaction, such as {"public.orders": {"update": 1}}.';

-- sql/journal/functions/step_messages.sql
-- The messages that a step of the running transaction published, in order.
create function journal.step_messages(step_id uuid) returns uuid[]
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $step_messages$
begin
    return array(
        select m.message_id from outbox.message m
         where m.xid = pg_current_xact_id() and m.step_id = step_messages.step_id
         order by m.id);
end
$step_messages$;

comment on function journal.step_messages(uuid) is 'Ids of the messages of a step of the running transaction.';

-- sql/journal/functions/step_in_progress.sql
-- A step is completed by the transaction that began it; anything else means that the body committed or rolled back by itself.
create function journal.step_in_progress(step_id uuid) returns journal.step
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $step_in_progress$
declare
    step journal.step;
begin
    select s.* into step from journal.step s where s.step_id = step_in_progress.step_id;
    if step.step_id is null or step.transaction_id is distinct from pg_current_xact_id_if_assigned()
       or step.cluster <> journal.cluster_id() then
        raise exception using
            errcode = 'JR002', message = 'the step was not begun in this transaction',
            hint = 'the transaction of a step is committed or rolled back by whoever began it, after the step is completed';
    elsif step.db_user <> session_user then
        raise exception using errcode = 'JR012', message = 'the step belongs to another database user';
    end if;
    return step;
end
$step_in_progress$;

comment on function journal.step_in_progress(uuid) is 'The step, if this transaction began it. Private.';

-- sql/journal/functions/write_receipt.sql
-- The receipt of a completed step: what it did, in the commit that does it.
create function journal.write_receipt(step journal.step, result jsonb) returns journal.receipt
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $write_receipt$
declare
    written journal.receipt;
begin
    written.receipt_id := outbox.uuid7();
    written.step_id := step.step_id;
    written.document := jsonb_build_object(
        'schema', 'journal.receipt/1', 'receipt_id', written.receipt_id, 'session_id', step.session_id, 'step_id', step.step_id,
        'tool', step.tool, 'kind', step.kind, 'tenant', step.tenant, 'key', step.key, 'attempt', step.attempt,
        'arguments', step.arguments, 'arguments_digest', step.arguments_digest, 'result', write_receipt.result,
        'changes', journal.step_changes(step.step_id), 'message_ids', to_jsonb(journal.step_messages(step.step_id)),
        'transaction_id', step.transaction_id::text, 'cluster', step.cluster::text, 'db_user', step.db_user,
        'started_at', journal.utc(step.started_at), 'committed_at', journal.utc(clock_timestamp()));
    written.digest := 'sha256:' || encode(sha256(convert_to(written.document::text, 'UTF8')), 'hex');
    insert into journal.receipt select written.*;
    return written;
end
$write_receipt$;

comment on function journal.write_receipt(journal.step, jsonb) is 'Writes the receipt of a step. Private: call journal.complete_step.';

-- sql/journal/functions/end_step.sql
-- Completes a step and says what its receipt says. `last`: the commit follows at once, so the transaction stays bound, and what
-- deferred triggers still change belongs to the step.
create function journal.end_step(step_id uuid, result jsonb, last boolean) returns journal.receipt
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
as $end_step$
declare
    step    journal.step := journal.step_in_progress(end_step.step_id);
    receipt journal.receipt;
begin
    select r.* into receipt from journal.receipt r where r.step_id = coalesce(step.replay_of, step.step_id);
    if receipt.receipt_id is null then
        receipt := journal.write_receipt(step, end_step.result);
    elsif step.replay_of is null then
        raise exception using errcode = 'JR013', message = 'the step was completed already';
    end if;
    if step.outer_session_id is not null or not end_step.last then
        perform journal.set_binding(step.outer_session_id, step.outer_step_id);
    end if;
    return receipt;
end
$end_step$;

comment on function journal.end_step(uuid, jsonb, boolean) is
    'As journal.complete_step; returns the receipt. last: the caller commits next, and the transaction may stay bound.';

-- sql/journal/functions/complete_step.sql
-- Completes a step of the running transaction: result and receipt become part of its commit. What was bound before is bound again.
create function journal.complete_step(step_id uuid, result jsonb default null) returns uuid
language sql volatile
begin atomic
    select (journal.end_step(complete_step.step_id, complete_step.result, false)).receipt_id;
end;

comment on function journal.complete_step(uuid, jsonb) is
    'Completes a step of the running transaction and returns the id of its receipt; of a replayed step, the receipt of the first time. Raises ConnectionUseError where another transaction began the step.';

-- sql/journal/functions/fail_step.sql
-- Records a try that failed, after its transaction (or savepoint) was rolled back. With a result the failure is final: it is kept
-- under the key, unless another caller has taken the key meanwhile.
create function journal.fail_step(
    step_id         uuid,
    session_id      uuid,
    tool            text,
    key             text default null,
    arguments       jsonb default null,
    attempt         integer default 1,
    error           jsonb default null,
    result          jsonb default null,
    final           boolean default false,
    started_at      timestamptz default null,
    details         jsonb default null,
    kind            text default null,
    store_arguments boolean default true
) returns boolean
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
as $fail_step$
declare
    home journal.session;
    try  journal.step;
begin
    perform journal.check_step(fail_step.tool, fail_step.key, fail_step.attempt, fail_step.kind);
    select s.* into home from journal.session s where s.session_id = fail_step.session_id and s.db_user = session_user;
    if not found then
        perform journal.raise_unknown_session(fail_step.session_id);
    end if;
    try := journal.new_step(home, fail_step.tool, fail_step.key, fail_step.arguments, fail_step.attempt, fail_step.details,
                            fail_step.kind, fail_step.store_arguments);
    try.step_id := coalesce(fail_step.step_id, try.step_id);
    try.status := 'failed';
    try.started_at := coalesce(fail_step.started_at, try.started_at);
    try.ended_at := clock_timestamp();
    try.result := fail_step.result;
    try.error := fail_step.error;
    if fail_step.final and try.holds_key and (journal.reserve_key(try, interval '1 s')).step_id is null then
        return true;
    end if;
    try.holds_key := false;
    try.key_expires_at := null;
    perform journal.insert_step(try);
    return false;
end
$fail_step$;

comment on function journal.fail_step(uuid, uuid, text, text, jsonb, integer, jsonb, jsonb, boolean, timestamptz, jsonb, text, boolean) is
    'Records a failed try of a step, after it was rolled back. final: a retry of the key is told the result (StepFailed). Returns whether the failure holds the key.';

-- sql/journal/views/sessions.sql
-- Agent sessions and rollbacks. A session that carries a stop mark is stopped, also while its row still says open: the row is
-- not written while the session works.
create view journal.sessions as
select s.session_id,
       s.parent_session_id,
       s.kind,
       s.agent,
       s.task,
       s.tenant,
       s.run_id,
       case when s.status <> 'open' then s.status
            when mark.stopped_at is not null then 'stopped'
            when coalesce(bound.last_bound_at, s.opened_at) < now() - journal.abandoned_after() then 'abandoned'
            else 'open' end as status,
       coalesce(s.status_reason, case when s.status = 'open' then mark.reason end) as status_reason,
       journal.session_reversed(s.session_id) as reversed,
       s.opened_at,
       bound.last_bound_at,
       coalesce(s.closed_at, case when s.status = 'open' then mark.stopped_at end) as closed_at,
       s.opened_at + journal.retention() as undoable_until,
       s.db_user,
       s.db_role,
       s.application_name,
       s.hold,
       s.details
  from journal.session s
  left join lateral (
       select b.bound_at as last_bound_at from journal.binding b where b.session_id = s.session_id order by b.statement_id desc limit 1
       ) bound on true
  left join lateral (
       select p.stopped_at, p.reason
         from journal.stop p
        where (p.session_id = s.session_id or p.agent = s.agent) and p.lifted_at is null
        order by p.stop_id
        limit 1
       ) mark on true;

comment on view journal.sessions is 'Agent sessions: one run of an agent each, the unit of rollback; and the rollbacks, which are sessions too.';
comment on column journal.sessions.session_id is 'Id of the session.';
comment on column journal.sessions.parent_session_id is 'Session that opened this one.';
comment on column journal.sessions.kind is 'agent or rollback.';
comment on column journal.sessions.agent is 'Name of the agent; of a rollback, who rolled back.';
comment on column journal.sessions.task is 'What the agent was asked to do.';
comment on column journal.sessions.tenant is 'Tenant that the session works for; empty: none.';
comment on column journal.sessions.run_id is 'Name of the run, unique per tenant and agent.';
comment on column journal.sessions.status is
    'open, closed, failed, stopped (binds no more) or abandoned (open, but not bound for a week; it may still work and be rolled back).';
comment on column journal.sessions.status_reason is 'Why it was closed or stopped.';
comment on column journal.sessions.reversed is 'no, partly or fully: how much of it a rollback took back.';
comment on column journal.sessions.opened_at is 'When it was opened.';
comment on column journal.sessions.last_bound_at is 'When a transaction was last bound to it; null: never.';
comment on column journal.sessions.closed_at is 'When it was closed or stopped.';
comment on column journal.sessions.undoable_until is 'Until when its images are kept.';
comment on column journal.sessions.db_user is 'session_user that opened it; nobody else may use it.';
comment on column journal.sessions.db_role is 'The role that its steps run as.';
comment on column journal.sessions.application_name is 'application_name of the connection that opened it.';
comment on column journal.sessions.hold is 'Default hold of its messages: close, approve or a duration; null: none.';
comment on column journal.sessions.details is 'What the opener noted.';

-- sql/journal/views/steps.sql
-- Every try of every step: what completed, what failed, what was a replay.
create view journal.steps as
select s.step_id,
       s.session_id,
       (select count(*) from journal.step e
         where e.session_id = s.session_id and (e.started_at, e.step_id) <= (s.started_at, s.step_id))::integer as ordinal,
       s.tool,
       s.kind,
       s.tenant,
       s.key,
       s.attempt,
       case when s.status <> 'begun' then s.status
            when r.receipt_id is null then 'unknown'
            when journal.effective_rollback(s.session_id, s.step_id) is not null then 'reversed'
            else 'completed' end as status,
       s.replay_of,
       s.arguments,
       coalesce(s.result, r.document -> 'result') as result,
       s.error,
       s.transaction_id,
       s.started_at,
       coalesce(s.ended_at, (r.document ->> 'committed_at')::timestamptz) as ended_at,
       s.key_expires_at,
       s.db_user,
       s.db_role,
       r.receipt_id
  from journal.step s
  left join journal.receipt r on r.step_id = coalesce(s.replay_of, s.step_id);

comment on view journal.steps is 'Steps: one call of a tool each, with its outcome. Failed tries and replays have rows of their own.';
comment on column journal.steps.step_id is 'Id of the step.';
comment on column journal.steps.session_id is 'Agent session that made the call.';
comment on column journal.steps.ordinal is 'Place among the steps of its session, from 1.';
comment on column journal.steps.tool is 'Name of the tool.';
comment on column journal.steps.kind is 'read, idempotent, reversible, compensable or irreversible; null: not said.';
comment on column journal.steps.tenant is 'Tenant of the session: keys are unique per tenant and tool.';
comment on column journal.steps.key is 'Idempotency key; null: none.';
comment on column journal.steps.attempt is 'Which attempt under the key, from 1; a new one is due after a rollback or a final failure.';
comment on column journal.steps.status is
    'completed, failed, replayed (the key was completed before; nothing ran), reversed (completed, then rolled back), intended, or unknown (committed without being completed).';
comment on column journal.steps.replay_of is 'Of a replay: the step that did it.';
comment on column journal.steps.arguments is 'What identifies the effect; null: none, or only their digest is kept.';
comment on column journal.steps.result is 'Result; of a replay, that of the first time; of a step that failed for good, the recorded failure.';
comment on column journal.steps.error is 'Of a failed try: type and sqlstate of the error, and the message where it is one of ours.';
comment on column journal.steps.transaction_id is 'Transaction of the step; of a failed try, the one that recorded it.';
comment on column journal.steps.started_at is 'When it began.';
comment on column journal.steps.ended_at is 'When it was completed, or failed.';
comment on column journal.steps.key_expires_at is 'Until when a retry finds this step by its key; null: this try holds no key.';
comment on column journal.steps.db_user is 'session_user.';
comment on column journal.steps.db_role is 'The role that the step ran as.';
comment on column journal.steps.receipt_id is 'Receipt of the step; of a replay, that of the first time.';

-- sql/journal/views/receipts.sql
-- What completed steps did, as their own commits say. Everything but the status is read from the document.
create view journal.receipts as
select r.receipt_id,
       s.session_id,
       s.step_id,
       s.tool,
       s.tenant,
       s.key,
       s.attempt,
       case when undone.rollback_id is null then 'committed' else 'reversed' end as status,
       (r.document ->> 'committed_at')::timestamptz as committed_at,
       (select min(v.reversed_at) from journal.reversal v
         where v.session_id = s.session_id and v.rollback_id = undone.rollback_id) as reversed_at,
       undone.rollback_id as reversed_by,
       r.document -> 'changes' as changes,
       array(select m.id::uuid from jsonb_array_elements_text(r.document -> 'message_ids') with ordinality as m (id, n) order by m.n) as message_ids,
       r.document -> 'result' as result,
       r.digest,
       r.document
  from journal.receipt r
  join journal.step s on s.step_id = r.step_id
 cross join lateral journal.effective_rollback(s.session_id, s.step_id) as undone (rollback_id);

comment on view journal.receipts is 'Receipts: what a step did, recorded in its own commit. A row exists if and only if the step committed.';
comment on column journal.receipts.receipt_id is 'Id of the receipt.';
comment on column journal.receipts.session_id is 'Agent session of the step.';
comment on column journal.receipts.step_id is 'The step.';
comment on column journal.receipts.tool is 'Name of the tool.';
comment on column journal.receipts.tenant is 'Tenant of the session.';
comment on column journal.receipts.key is 'Idempotency key; null: none.';
comment on column journal.receipts.attempt is 'Which attempt under the key.';
comment on column journal.receipts.status is 'committed, or reversed by a rollback that is in effect.';
comment on column journal.receipts.committed_at is 'When the step was completed, just before its commit.';
comment on column journal.receipts.reversed_at is 'When it was rolled back.';
comment on column journal.receipts.reversed_by is 'Rollback that took it back.';
comment on column journal.receipts.changes is 'Changed rows per table and operation, counted in the ledger: {"public.orders": {"update": 1}}.';
comment on column journal.receipts.message_ids is 'Messages that the step published, in order.';
comment on column journal.receipts.result is 'Result of the step.';
comment on column journal.receipts.digest is '''sha256:'' and the hex digest of document::text in UTF-8.';
comment on column journal.receipts.document is 'All that the receipt says; written once, in the commit of the step.';

-- sql/journal/functions/receipt_json.sql
-- A receipt as drivers of any kind read it: for whoever may read journal.receipts, and for the user whose step it was.
create function journal.receipt_json(receipt_id uuid) returns jsonb
language plpgsql stable security definer
set search_path = pg_catalog, pg_temp
as $receipt_json$
declare
    answer jsonb;
begin
    select to_jsonb(r) into answer
      from journal.receipts r
      join journal.step s on s.step_id = r.step_id
     where r.receipt_id = receipt_json.receipt_id
       and (s.db_user = session_user or has_table_privilege(journal.caller(), 'journal.receipts', 'select'));
    if answer is null then
        raise exception using errcode = 'JR040', message = 'there is no such receipt', hint = 'journal.receipts lists them';
    end if;
    return answer;
end
$receipt_json$;

comment on function journal.receipt_json(uuid) is 'A row of journal.receipts as JSON. Raises UnknownReceipt.';


-- the outbox: messages and seals

-- the relay: destinations and their positions

-- who may do what
-- sql/grants.sql
-- Who may do what. Loaded last: nobody may do anything until it is granted here. Group roles that the cluster does not have
-- (migrate --no-roles) are passed over.
do $grants$
declare
    everyone constant text[] := array['journal_agent', 'journal_operator', 'journal_reader', 'journal_auditor'];
    schema_name text;
    role_name text;
begin
    foreach schema_name in array array['journal', 'outbox', 'relay'] loop
        execute format('revoke all on all functions in schema %I from public', schema_name);
        execute format('revoke all on all tables in schema %I from public', schema_name);
    end loop;
    for role_name in select r.rolname from pg_catalog.pg_roles as r where r.rolname = any (everyone) loop
        execute format('grant usage on schema journal, outbox, relay to %I', role_name);
    end loop;
end
$grants$;

-- coverage and capture: whoever reads sees the images of the columns that it may select; whoever covers must own the table
do $grants_capture$
declare
    role_name text;
begin
    for role_name in
        select r.rolname from pg_catalog.pg_roles as r where r.rolname in ('journal_operator', 'journal_reader', 'journal_auditor')
    loop
        execute format('grant select on journal.statements, journal.changes, journal.coverage, journal.segments to %I', role_name);
        execute format(
            'grant execute on function journal.operation_name("char"), journal.images(text, bigint), journal.row_images(regclass, jsonb),
             journal.session_changes(uuid), journal.row_history(regclass, jsonb), journal.qualified_name(oid), journal.coverage_state(regclass),
             journal.attribute_names(oid, int2[]), journal.is_droppable(journal.segment) to %I', role_name);
    end loop;
    for role_name in select r.rolname from pg_catalog.pg_roles as r where r.rolname = 'journal_operator' loop
        execute format(
            'grant execute on function journal.cover(regclass, text, boolean, text[], text[], text[], text, boolean), journal.uncover(regclass),
             journal.why_not_coverable(regclass), journal.why_too_wide(regclass), journal.column_numbers(regclass, text[], text),
             journal.make_segment(regclass, journal.covered_table), journal.set_triggers(regclass, text), journal.trigger_marks(oid),
             journal.seal_coverage(regclass), journal.forget_coverage(regclass) to %I', role_name);
    end loop;
end
$grants_capture$;

-- sessions, steps and receipts: agents work, operators stop, readers look
do $grants_steps$
declare
    role_name text;
begin
    for role_name in select r.rolname from pg_catalog.pg_roles as r where r.rolname = 'journal_agent' loop
        execute format(
            'grant execute on function journal.open_session(text, text, uuid, jsonb, text, text, text, text),
             journal.close_session(uuid, text, text), journal.bind(uuid, uuid), journal.bound_session(),
             journal.begin_step(uuid, text, text, jsonb, integer, interval, jsonb, text, boolean), journal.complete_step(uuid, jsonb),
             journal.end_step(uuid, jsonb, boolean), journal.receipt_json(uuid),
             journal.fail_step(uuid, uuid, text, text, jsonb, integer, jsonb, jsonb, boolean, timestamptz, jsonb, text, boolean) to %I', role_name);
    end loop;
    for role_name in select r.rolname from pg_catalog.pg_roles as r where r.rolname = 'journal_operator' loop
        execute format(
            'grant execute on function journal.stop_session(uuid, text), journal.stop_agent(text, text), journal.resume_agent(text) to %I',
            role_name);
    end loop;
    for role_name in
        select r.rolname from pg_catalog.pg_roles as r where r.rolname in ('journal_operator', 'journal_reader', 'journal_auditor')
    loop
        execute format('grant select on journal.sessions, journal.steps, journal.receipts to %I', role_name);
        execute format(
            'grant execute on function journal.abandoned_after(), journal.retention(), journal.session_reversed(uuid),
             journal.effective_rollback(uuid, uuid), journal.receipt_json(uuid) to %I', role_name);
    end loop;
end
$grants_steps$;

