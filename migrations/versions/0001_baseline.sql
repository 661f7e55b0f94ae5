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
    role              name,
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
comment on column journal.session.role is 'Role that each step sets; null: none.';

-- sql/journal/tables/secret.sql
-- The key of what the journal hands out and takes back, such as a transaction's notes: whoever cannot read it cannot forge it.
create table journal.secret (
    secret bytea not null
);

create unique index secret_single on journal.secret ((true));

insert into journal.secret select pg_catalog.sha256(pg_catalog.uuid_send(pg_catalog.gen_random_uuid()) || pg_catalog.uuid_send(pg_catalog.gen_random_uuid()));

comment on table journal.secret is 'The key of journal.keyed_digest. Private: nobody but the owner reads it.';

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
-- rows which its statement wrote, and that is how a later, unjournaled change is noticed. No CHECK constraints: the server
-- would parse them anew for every insert, a tenth of what capturing one row costs.
create sequence journal.statement_id as bigint cache 1;

create table journal.statement (
    statement_id     bigint primary key,
    transaction_id   xid8 not null,
    cluster          bigint not null,
    rows             bigint not null,
    executed_at      timestamptz not null,
    segment_id       integer not null,
    depth            smallint not null,
    operation        "char" not null,
    db_user          text not null,
    db_role          text not null,
    application_name text not null
);

create index statement_transaction on journal.statement (transaction_id);
create index statement_deletes on journal.statement (segment_id, statement_id) where operation in ('D', 'T');

comment on table journal.statement is 'The ledger of captured statements. Private; read journal.statements.';
comment on column journal.statement.cluster is 'System identifier of the cluster: transaction ids repeat after a restore elsewhere.';
comment on column journal.statement.operation is 'I, U, D or T.';
comment on column journal.statement.depth is 'pg_trigger_depth() at capture; foreign-key actions stay at 1.';
comment on column journal.statement.db_role is 'The role set; none where it is the session user.';

-- sql/journal/tables/binding_id.sql
-- Counts bindings. A session cannot turn back the last value it was given, so an older binding that is put back is not taken for
-- the last one.
create sequence journal.binding_id as bigint cache 1000;

comment on sequence journal.binding_id is 'Numbers of bindings; gaps mean nothing. Private.';

-- sql/journal/tables/binding.sql
-- Who a transaction's changes belong to: a change belongs to the last binding before it in its transaction. The
-- binding takes its place among the statements by an id from their sequence. Insert only.
create table journal.binding (
    statement_id   bigint primary key,
    binding_id     bigint not null default nextval('journal.binding_id'),
    transaction_id xid8 not null,
    cluster        bigint not null,
    session_id     uuid,
    step_id        uuid,
    bound_at       timestamptz not null
);

create index binding_transaction on journal.binding (transaction_id);
create index binding_session on journal.binding (session_id, statement_id);

comment on table journal.binding is 'Which session and step a range of statements of a transaction belongs to. Private.';
comment on column journal.binding.binding_id is 'The last one that a connection was given is that of its latest binding, unless that was rolled back.';
comment on column journal.binding.session_id is 'Null: from here on the transaction is unbound again.';

-- sql/journal/tables/note_id.sql
-- Counts the notes that SERIALIZABLE transactions take of what their steps do. A session cannot turn back the last value it was
-- given, so an older note that is put back is not taken for the last one.
create sequence journal.note_id as bigint cache 1000;

-- sql/journal/tables/agent_role.sql
-- Who is an agent is named exactly: membership misfires for superusers, pools and role administrators.
create table journal.agent_role (
    role_name text primary key
);

comment on table journal.agent_role is 'Roles whose writes to covered tables are refused outside a bound session. Matched exactly with session_user and the role set. Private; see journal.add_agent_role.';


-- journal: coverage and capture
-- sql/journal/tables/segment.sql
-- A segment is the physical table that holds the images of one covered table, for one shape of it and one period.
-- Its image columns are named by attnum (o3 before, n3 after): names change, attnums do not.
create table journal.segment (
    segment_id  integer generated always as identity primary key,
    relation    regclass not null,
    table_name  text not null,
    shape       integer not null,
    kind        text not null default 'typed' check (kind in ('typed', 'record')),
    attnums     int2[] not null,
    names       name[] not null,
    types       regtype[] not null,
    image_types text[] not null,
    key         int2[] not null,
    from_at     timestamptz not null default clock_timestamp(),
    until_at    timestamptz,
    dropped_at  timestamptz,
    unique (relation, shape)
);

comment on table journal.segment is 'Segments and the shapes they were made for. Private; read journal.segments.';
comment on column journal.segment.kind is
    'typed: one pair of columns for each image column; record: whole rows as text, from writes that met a shape which cover had not seen.';
comment on column journal.segment.attnums is 'All live columns of that shape, in order; names, types and image_types run parallel.';
comment on column journal.segment.image_types is
    'Type of the image columns; ''text'' marked by a leading * holds what the type''s output function gives; null: no image (generated, excluded).';
comment on column journal.segment.dropped_at is 'When retention dropped its table; the ledger still tells what was there.';
comment on column journal.segment.key is 'Columns of the primary key, in the order of the key; empty where there is none.';

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
    covered_at   timestamptz not null default clock_timestamp(),
    looked_at_by xid8 not null default pg_current_xact_id()
);

comment on table journal.covered_table is 'Covered tables and their options. Private; read journal.coverage.';
comment on column journal.covered_table.looked_at_by is 'The transaction that looked for gaps last: see journal.note_gap.';

-- sql/journal/tables/capture.sql
-- Which relation writes into which segment, and how its columns stand for those of the segment: one row for a table, one
-- for each relation of a partition tree. Looked up when a capture statement is planned, so nothing in the source of a
-- capture function is an oid: a restored dump goes on.
create table journal.capture (
    capture_id integer generated always as identity primary key,
    segment_id integer not null references journal.segment,
    record_id  integer not null references journal.segment,
    relation   regclass not null,
    attnums    int2[] not null,
    places     int2[] not null,
    trigger_marks text[] not null default '{}',
    unique (segment_id, relation)
);

comment on table journal.capture is 'Relations and the segments that their capture functions write to. Private.';
comment on column journal.capture.record_id is 'Where rows of an unknown shape go.';
comment on column journal.capture.attnums is 'Live columns of the relation, in order.';
comment on column journal.capture.places is 'For each of them, its attnum in the covered table: partitions may number them otherwise.';
comment on column journal.capture.trigger_marks is
    'The capture triggers at cover, and in which database they were seen: disabling and enabling one again changes its xmin.';

-- sql/journal/functions/cluster_id.sql
-- Transaction ids repeat after a restore into another cluster; the system identifier tells the clusters apart. It never
-- changes under a running server, so it is declared immutable: planned once in each connection, free after that.
create function journal.cluster_id() returns bigint
language plpgsql immutable parallel safe
set search_path = pg_catalog, pg_temp
as $cluster_id$
begin
    return system_identifier from pg_control_system();
end
$cluster_id$;

comment on function journal.cluster_id() is 'System identifier of this cluster.';

-- sql/journal/tables/gap.sql
-- Times in which changes of a covered table may have gone unrecorded, as cover found them when it mended them. Insert only.
create table journal.gap (
    gap_id   bigint generated always as identity primary key,
    relation regclass not null,
    reason   text not null,
    from_at  timestamptz not null,
    until_at timestamptz not null default clock_timestamp(),
    attached_by xid8,
    cluster  bigint not null default journal.cluster_id()
);

create index gap_relation on journal.gap (relation);

comment on table journal.gap is 'Gaps in the coverage of tables that were mended since. Private.';
comment on column journal.gap.from_at is 'The last time that coverage was known to be whole: the gap began then or later.';
comment on column journal.gap.until_at is 'When cover mended it.';
comment on column journal.gap.attached_by is
    'The gap began when this transaction of this cluster attached a partition, so it does not concern older transactions; null: another kind of gap.';

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

-- sql/journal/functions/raise_unbound.sql
-- The one home of the error for named agent roles that work outside a bound session.
create function journal.raise_unbound(what text, table_name text default '') returns void
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $raise_unbound$
begin
    raise exception using
        errcode = 'JR024',
        message = format('journal: role %I is an agent and may %s only inside a bound session', journal.caller(), what),
        hint = 'work inside a step of an agent session, or call journal.bind first',
        table = table_name;
end
$raise_unbound$;

comment on function journal.raise_unbound(text, text) is 'Raises UnboundWrite for the role that called. Private.';

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
    perform journal.raise_unbound(format('write %s', relation::regclass), relation::regclass::text);
end
$admit$;

comment on function journal.admit(oid) is 'Raises UnboundWrite unless the transaction is bound.';

-- sql/journal/functions/has_agents.sql
-- Whether any role was ever named as an agent. Declared stable, so that it is put into plans as a constant, which they are made
-- anew with when note_agents replaces it: until then no capture looks for agents, which is a tenth of what it costs.
create function journal.has_agents() returns boolean
language sql stable
begin atomic
    select false;
end;

comment on function journal.has_agents() is 'Whether any role was ever named as an agent. Replaced by journal.note_agents.';

-- sql/journal/functions/note_agents.sql
-- From the first agent on captures look for agents; there is no way back, so nobody can be overlooked. Also where triggers of
-- users do not fire, as in a replica's session.
create function journal.note_agents() returns trigger
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
as $note_agents$
begin
    if not journal.has_agents() then
        create or replace function journal.has_agents() returns boolean language sql stable begin atomic select true; end;
    end if;
    return null;
end
$note_agents$;

create trigger note_agents after insert on journal.agent_role for each statement execute function journal.note_agents();
alter table journal.agent_role enable always trigger note_agents;

comment on function journal.note_agents() is 'Makes captures look for agents once there is one. Private.';

-- sql/journal/functions/is_agent.sql
-- Whether the caller is a named agent role: the rule that capture has in its own source, where it is planned with the statement.
create function journal.is_agent() returns boolean
language plpgsql stable
as $is_agent$
begin
    return journal.has_agents() and exists (
        select from journal.agent_role r where r.role_name in (session_user, current_setting('role')));
end
$is_agent$;

comment on function journal.is_agent() is 'Whether the session user or the role set is a named agent role. Private.';

-- sql/journal/functions/add_agent_role.sql
-- Names a role as an agent: from its next transaction on it writes and publishes only inside a bound session. (One under way may still use
-- plans from before the first agent was named, see journal.has_agents.)
create function journal.add_agent_role(name text) returns boolean
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $add_agent_role$
begin
    if not exists (select from pg_roles r where r.rolname = add_agent_role.name) then
        raise exception using
            errcode = '42704', message = format('role %I does not exist', add_agent_role.name),
            hint = 'create it first, or name the role that the agent logs in as';
    end if;
    insert into journal.agent_role (role_name) values (add_agent_role.name) on conflict do nothing;
    return found;
end
$add_agent_role$;

comment on function journal.add_agent_role(text) is
    'Names a role as an agent: it is refused writes to covered tables, and messages, outside a bound session (UnboundWrite). Matched exactly with session_user and the role set, never by membership. True if it was not one before. For the owner of the journal.';

-- sql/journal/functions/remove_agent_role.sql
-- Takes a role off the list of agents. Also one that no longer exists.
create function journal.remove_agent_role(name text) returns boolean
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $remove_agent_role$
begin
    delete from journal.agent_role r where r.role_name = remove_agent_role.name;
    return found;
end
$remove_agent_role$;

comment on function journal.remove_agent_role(text) is 'Takes a role off the list of agents. True if it was on it. For the owner of the journal.';

-- sql/journal/functions/base_type.sql
-- The type under a domain, however deep; any other type is its own.
create function journal.base_type(column_type oid) returns oid
language plpgsql stable
as $base_type$
declare
    base oid := column_type;
begin
    while (select t.typtype operator(pg_catalog.=) 'd' from pg_catalog.pg_type t where t.oid operator(pg_catalog.=) base) loop
        base := (select t.typbasetype from pg_catalog.pg_type t where t.oid operator(pg_catalog.=) base);
    end loop;
    return base;
end
$base_type$;

comment on function journal.base_type(oid) is 'The type under a domain; any other type is its own.';

-- sql/journal/functions/shape_is.sql
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

-- sql/journal/functions/captured_relation.sql
-- Whose trigger a capture function serves; constant for a capture, so planned once in each connection.
create function journal.captured_relation(capture_id integer) returns oid
language plpgsql immutable
set search_path = pg_catalog, pg_temp
as $captured_relation$
declare
    relation oid;
begin
    select c.relation into strict relation from journal.capture c where c.capture_id = captured_relation.capture_id;
    return relation;
end
$captured_relation$;

comment on function journal.captured_relation(integer) is 'The relation that a capture function was written for.';

-- sql/journal/functions/is_detached.sql
-- Whether a capture serves a partition that no longer belongs to the covered table: it is a table of its own then, and nobody's
-- journaled one, so what is written there is no change of the covered table.
create function journal.is_detached(capture_id integer) returns boolean
language sql volatile
begin atomic
    select c.relation <> s.relation and coalesce(pg_catalog.pg_partition_root(c.relation), c.relation) <> s.relation
      from journal.capture c
      join journal.segment s using (segment_id)
     where c.capture_id = is_detached.capture_id;
end;

comment on function journal.is_detached(integer) is 'Whether a capture serves a partition that was detached.';

-- sql/journal/functions/relations_of.sql
-- The relations whose statements change a covered table: itself, or the whole partition tree, since a statement that names
-- a partition fires only that partition's triggers.
create function journal.relations_of(relation oid) returns table (member oid, kind "char")
language sql stable
begin atomic
    select c.oid, c.relkind
      from pg_catalog.pg_class c
     where c.oid = relation and c.relkind <> 'p'
     union all
    select c.oid, c.relkind
      from pg_catalog.pg_partition_tree(relation) t
      join pg_catalog.pg_class c on c.oid = t.relid
     where exists (select from pg_catalog.pg_class p where p.oid = relation and p.relkind = 'p');
end;

comment on function journal.relations_of(oid) is 'A table, or every relation of its partition tree.';

-- sql/journal/functions/image_type.sql
-- How a column type is stored in a segment: types of pg_catalog (also under a domain) as themselves and without typmod,
-- all others as the text of their output function, marked by a leading *. So no segment depends on a user's type.
-- The reg* types are stored as text too: pg_upgrade refuses most of them in user tables.
create function journal.image_type(column_type oid) returns text
language sql stable
set quote_all_identifiers = off
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

-- sql/journal/functions/pin_settings.sql
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

-- sql/journal/functions/unpin_settings.sql
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

-- sql/journal/functions/live_columns.sql
-- Live columns by the system cache: what a transition table has at this moment, whatever the transaction's snapshot shows.
create function journal.live_columns(relation oid, out attnum int2, out name text) returns setof record
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $live_columns$
begin
    attnum := 0;
    loop
        attnum := attnum + 1;
        name := (pg_identify_object_as_address('pg_class'::regclass, relation, attnum)).object_names[3];
        exit when name is null;
        continue when name like '........pg.dropped.%';
        return next;
    end loop;
end
$live_columns$;

comment on function journal.live_columns(oid) is 'Live columns of a relation by the system cache.';

-- sql/journal/functions/fill.sql
-- Fills {names} in a piece of SQL text with other pieces, all at once: what was put in is not looked at again, because it may hold
-- a user's names, as quoted literals. Braces around anything else stay.
create function journal.fill(template text, pieces jsonb) returns text
language sql immutable
begin atomic
    select coalesce(pg_catalog.string_agg(
               case when t.n = 1 then t.part
                    when pieces ? pg_catalog.split_part(t.part, '}', 1) and t.part like '%}%'
                        then (pieces ->> pg_catalog.split_part(t.part, '}', 1)) || pg_catalog.substr(t.part, pg_catalog.strpos(t.part, '}') + 1)
                    else '{' || t.part end, '' order by t.n), '')
      from pg_catalog.string_to_table(template, '{') with ordinality as t (part, n);
end;

comment on function journal.fill(text, jsonb) is 'A template with its {names} replaced by the pieces of that name.';

-- sql/journal/functions/record_statement.sql
-- The statement that stores the rows of a shape which cover has not seen: each with its columns, as texts, so that a later
-- cover can bring them into typed form. Columns are numbered as in the covered table, whose partitions may number otherwise, and
-- excluded columns are left out here too. Pairs by place where the counts agree, half rows where they do not.
create function journal.record_statement(relation oid, operation text, record_id integer, excluded int2[]) returns text
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $record_statement$
declare
    pieces jsonb;
    root   constant oid := coalesce(pg_partition_root(relation), relation);
begin
    select jsonb_build_object(
               'record', record_id,
               'attnums', quote_literal(array_agg(r.attnum order by c.attnum)::text),
               'names', quote_literal(array_agg(name order by c.attnum)::text),
               'types', string_agg(format('pg_typeof(coalesce(o.c%1$s, n.c%1$s))::oid', c.attnum), ', ' order by c.attnum),
               'old', string_agg(journal.image_of('o.c' || c.attnum, '*text'), ', ' order by c.attnum),
               'new', string_agg(journal.image_of('n.c' || c.attnum, '*text'), ', ' order by c.attnum))
      into pieces
      from journal.live_columns(relation) c
      join journal.live_columns(root) r using (name)
     where r.attnum <> all (excluded);
    pieces := pieces || jsonb_build_object(
        'columns', (select string_agg('c' || c.attnum, ', ' order by c.attnum) from journal.live_columns(relation) c),
        'old_rows', case when operation = 'INSERT' then 'new_rows where false' else 'old_rows' end,
        'new_rows', case when operation = 'DELETE' then 'old_rows where false' else 'new_rows' end);
    pieces := pieces || jsonb_build_object(
        'sign', case when operation = 'UPDATE' then '(select case when (select count(*) from old_rows) = count(*) then 1 else -1 end from new_rows)' else '1' end);
    return journal.fill($insert$
        insert into journal.segment_{record} (statement_id, attnums, names, types, o, n)
        select $1, {attnums}, {names}, array[{types}],
               case when o.place is not null then array[{old}]::text[] end,
               case when n.place is not null then array[{new}]::text[] end
          from (select row_number() over (), * from {old_rows}) as o (place, {columns})
          full join (select {sign} * row_number() over (), * from {new_rows}) as n (place, {columns}) on o.place = n.place$insert$, pieces);
end
$record_statement$;

comment on function journal.record_statement(oid, text, integer, int2[]) is 'SQL text that stores the rows of a statement whole but for the excluded columns (attnums of the covered table); $1 is the statement''s id.';

-- sql/journal/functions/capture_comment.sql
-- Stands in the statements of a capture function, so that whatever the server says about one that fails, on a full disk or for
-- a missing right, names the table. Nothing in it ends the comment or looks like a piece to fill in.
create function journal.capture_comment(segment journal.segment) returns text
language sql immutable
begin atomic
    select pg_catalog.format(' /* journal: changes of %s */', pg_catalog.translate(segment.table_name, '/*{}', '____'));
end;

comment on function journal.capture_comment(journal.segment) is 'SQL comment that names the table of a segment.';

-- sql/journal/functions/ledger_insert.sql
-- The ledger row of a captured statement, as SQL text: the one home of its columns. `operation` and `rows` are expressions.
create function journal.ledger_insert(segment journal.segment, segment_id integer, operation text, rows text default 'images') returns text
language sql immutable
begin atomic
    select pg_catalog.format($ledger$insert into journal.statement%3$s (statement_id, transaction_id, cluster, segment_id, rows, executed_at, depth, operation, db_user, db_role, application_name)
        values (this_statement, pg_current_xact_id(), journal.cluster_id(), %1$s, %2$s, statement_timestamp(), pg_trigger_depth(), %4$s,
                session_user, current_setting('role'), current_setting('application_name'));
        if serializable then
            perform journal.note(%1$s, %4$s, %2$s);
        end if;$ledger$, segment_id, rows, journal.capture_comment(segment), operation);
end;

comment on function journal.ledger_insert(journal.segment, integer, text, text) is 'SQL text that writes the ledger row of a captured statement.';

-- sql/journal/functions/capture_preamble.sql
-- What a capture function does first where only agents' changes are journaled: it leaves all others alone, before it looks
-- at a row, and refuses the roles that may not write unbound. Without the setting, which is cheap to see, nobody is bound.
create function journal.capture_preamble(options journal.covered_table) returns text
language sql immutable
begin atomic
    select case options.writers when 'agents' then $agents$
    unbound := coalesce(current_setting('journal.binding', true), '') = '';
    if not unbound then
        unbound := not exists (select from journal.bound_session());
    end if;
    if unbound then{refuse_agents}
        return null;
    end if;$agents$ else '' end;
end;

comment on function journal.capture_preamble(journal.covered_table) is 'SQL text at the head of a capture function.';

-- sql/journal/functions/capture_checks.sql
-- What every branch of a capture function does once it knows that rows were touched: refuse what may not be written, turn
-- another table's trigger away, leave a partition alone that was detached, and take a shape that it does not know as whole
-- rows, or refuse that too (strict).
create function journal.capture_checks(options journal.covered_table) returns text
language sql immutable
begin atomic
    select $checks${refuse_agents}
        if not intact then
            if tg_relid <> journal.captured_relation({capture}) then
                perform journal.raise_stale(tg_relid);
            elsif journal.is_detached({capture}) then
                return null;
            end if;
            $checks$ || case when options.strict_shape then 'perform journal.raise_stale(tg_relid);' else $heal$
            this_statement := nextval('journal.statement_id');
            settings := journal.pin_settings();
            execute journal.record_statement(tg_relid, tg_op, {record}, $heal$ || quote_literal(options.excluded) || $heal$) using this_statement;
            get diagnostics images = row_count;
            {ledger_of_records}
            perform journal.unpin_settings(settings);
            return null;$heal$ end || $checks$
        end if;$checks$;
end;

comment on function journal.capture_checks(journal.covered_table) is 'SQL text shared by the branches of a capture function.';

-- sql/journal/functions/truncate_limit.sql
-- How many rows a captured TRUNCATE may remove. The default has its home here.
create function journal.truncate_limit() returns bigint
language sql immutable parallel safe
begin atomic
    select 1000000::bigint;
end;

comment on function journal.truncate_limit() is 'Most rows that a TRUNCATE may remove and still be captured; above it the TRUNCATE is refused.';

-- sql/journal/functions/refuse_truncate.sql
-- The one home of the error for a TRUNCATE that could not be undone.
create function journal.refuse_truncate(relation oid, reason text, remedy text) returns void
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $refuse_truncate$
begin
    raise exception using
        errcode = 'JR023',
        message = format('journal: TRUNCATE of %s is refused, because it could not be undone: %s', relation::regclass, reason),
        hint = remedy,
        table = relation::regclass::text;
end
$refuse_truncate$;

comment on function journal.refuse_truncate(oid, text, text) is 'Raises CaptureFailed for a TRUNCATE.';

-- sql/journal/functions/admit_truncate.sql
-- What must hold before a TRUNCATE is captured: the rows are read from the table itself, under the present snapshot and
-- with the owner's rights, so anything that could hide one of them refuses.
create function journal.admit_truncate(relation regclass) returns void
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $admit_truncate$
declare
    home constant oid := (select c.relnamespace from pg_class c where c.oid = relation);
    many boolean;
begin
    if current_setting('transaction_isolation') <> 'read committed' then
        perform journal.refuse_truncate(relation, 'the snapshot of this transaction may not show all its rows',
                                        'truncate in a READ COMMITTED transaction, or delete the rows');
    elsif not has_schema_privilege(current_user, home, 'usage') then
        perform journal.refuse_truncate(relation, format('%I may not enter its schema', current_user),
                                        format('grant usage on schema %s to %I, or delete the rows', home::regnamespace, current_user));
    elsif not has_table_privilege(current_user, relation, 'select') then
        perform journal.refuse_truncate(relation, format('%I may not read it', current_user),
                                        format('grant select on %s to %I, or delete the rows', relation, current_user));
    elsif row_security_active(relation) then
        perform journal.refuse_truncate(relation, 'row security hides its rows', 'delete the rows');
    end if;
    execute format('select count(*) > $1 from (select from only %s limit $1 + 1) as l', relation) into many using journal.truncate_limit();
    if many then
        perform journal.refuse_truncate(relation, format('it has more than %s rows', journal.truncate_limit()),
                                        'delete the rows in parts, or run journal uncover first');
    end if;
end
$admit_truncate$;

comment on function journal.admit_truncate(regclass) is 'Raises CaptureFailed unless a TRUNCATE of the table can be captured whole.';

-- sql/journal/functions/capture_truncate.sql
-- The TRUNCATE branch of a capture function: reads the rows that are about to go, from the table itself. The table is named
-- when it runs, so a rename does no harm. A shape that cover has not seen refuses.
create function journal.capture_truncate(options journal.covered_table) returns text
language sql immutable
begin atomic
    select $detached$
        if journal.is_detached({capture}) then
            return null;
        end if;$detached$ || case options.on_truncate when 'refuse' then $refuse$
        perform journal.refuse_truncate(tg_relid, 'its coverage says so', 'delete the rows, or cover it with truncate => capture');$refuse$
    else $capture$
        perform journal.admit_truncate(tg_relid);
        execute replace($query$select {shape} from (select *, {padding} from only <table>) as x ({x}) limit 1$query$,
                        '<table>', tg_relid::regclass::text) into intact;
        if intact is null then
            return null;
        end if;{refuse_agents}
        if not intact or tg_relid <> journal.captured_relation({capture}) then
            perform journal.raise_stale(tg_relid);
        end if;
        this_statement := nextval('journal.statement_id');
        execute replace($query$insert into journal.{segment} (statement_id, {old_names})
                        select $1, {old_values} from (select 1, * from only <table>) as o (place, {o})$query$,
                        '<table>', tg_relid::regclass::text) using this_statement;
        get diagnostics images = row_count;
        {ledger_of_truncate}$capture$ end;
end;

comment on function journal.capture_truncate(journal.covered_table) is 'SQL text of the TRUNCATE branch of a capture function.';

-- sql/journal/functions/capture_pieces.sql
-- The lists of columns that capture is made of. Every live column of the relation has its place in the aliases (o, n, x),
-- numbered as in the covered table; the image columns of the segment are some of them. Without a key nothing else tells
-- whether a side is there, so two columns do (had, has).
create function journal.capture_pieces(capture journal.capture, segment journal.segment) returns jsonb
language sql stable
begin atomic
    select pg_catalog.jsonb_build_object(
               'capture', capture.capture_id,
               'segment', 'segment_' || segment.segment_id || journal.capture_comment(segment),
               'record', capture.record_id,
               'types', pg_catalog.quote_literal(pg_catalog.array_agg(pg_catalog.format_type(journal.base_type(s.type), -1) order by p.n)::text),
               'present_types', pg_catalog.string_agg(pg_catalog.format('journal.type_of(case when false then x.x%s end)', s.attnum), ', ' order by p.n),
               'padding', pg_catalog.string_agg('null::integer', ', '),
               'x', pg_catalog.string_agg('x' || s.attnum, ', ' order by p.n),
               'o', pg_catalog.string_agg('o' || s.attnum, ', ' order by p.n),
               'n', pg_catalog.string_agg('n' || s.attnum, ', ' order by p.n),
               'old_names', pg_catalog.string_agg('o' || s.attnum, ', ' order by p.n) filter (where s.stored is not null) || keyless.old_name,
               'new_names', pg_catalog.string_agg('n' || s.attnum, ', ' order by p.n) filter (where s.stored is not null) || keyless.new_name,
               'old_values', pg_catalog.string_agg(journal.image_of('o.o' || s.attnum, s.stored), ', ' order by p.n) filter (where s.stored is not null) || keyless.old_value,
               'new_values', pg_catalog.string_agg(journal.image_of('n.n' || s.attnum, s.stored), ', ' order by p.n) filter (where s.stored is not null) || keyless.new_value,
               'had', keyless.old_value,
               'has', keyless.new_value,
               'same_key', coalesce(pg_catalog.string_agg(
                   pg_catalog.format('%s = %s', journal.image_of('o.o' || s.attnum, s.stored), journal.image_of('n.n' || s.attnum, s.stored)), ' and ')
                   filter (where s.attnum = any (segment.key)), 'o.place = -n.place'))
      from unnest(capture.places) with ordinality as p (attnum, n)
      join unnest(segment.attnums, segment.types, segment.image_types) as s (attnum, type, stored) on s.attnum = p.attnum
     cross join (select case when segment.key = '{}' then ', had' else '' end as old_name, case when segment.key = '{}' then ', has' else '' end as new_name,
                        case when segment.key = '{}' then ', o.place is not null' else '' end as old_value,
                        case when segment.key = '{}' then ', n.place is not null' else '' end as new_value) keyless
     group by keyless.old_name, keyless.new_name, keyless.old_value, keyless.new_value;
end;

comment on function journal.capture_pieces(journal.capture, journal.segment) is 'Lists of columns, as SQL text, for a capture function.';

-- sql/journal/functions/is_large.sql
-- Whether a value may be so large that it is worth leaving out where it did not change, as SQL text. From 17 on the server
-- shows whether it keeps it out of line, at no cost.
create function journal.is_large(expression text) returns text
language sql stable
begin atomic
    select pg_catalog.format(case when pg_catalog.current_setting('server_version_num')::integer >= 170000
                                  then 'pg_column_toast_chunk_id(%s) is not null' else 'pg_column_size(%s) > 1000' end, expression);
end;

comment on function journal.is_large(text) is 'SQL text: a value may be worth leaving out of an image.';

-- sql/journal/functions/unchanged.sql
-- Whether a large value was left as it was, as SQL text; null for types whose values are small. From 17 on the server shows
-- where it keeps a value out of line: the same place is the same value, at no cost. Before, the value has to be read: the
-- cheapest comparison that is exact (bytes, not what the type calls equal), and only for values that are large.
create function journal.unchanged(attnum int2, column_type oid) returns text
language sql stable
begin atomic
    select case
        when t.typlen <> -1 or t.typstorage not in ('x', 'e') then null
        when pg_catalog.current_setting('server_version_num')::integer >= 170000
            then pg_catalog.format('pg_column_toast_chunk_id(o.o%1$s) = pg_column_toast_chunk_id(n.n%1$s)', attnum)
        else journal.is_large('o.o' || attnum) || ' and ' || pg_catalog.format(
            case when t.oid in ('text'::pg_catalog.regtype, 'varchar'::pg_catalog.regtype) then 'o.o%1$s collate "C" = n.n%1$s collate "C"'
                 when t.oid = 'bytea'::pg_catalog.regtype then 'o.o%1$s = n.n%1$s'
                 else 'record_image_eq(row(o.o%1$s), row(n.n%1$s))' end, attnum)
        end
      from pg_catalog.pg_type t
     where t.oid = journal.base_type(column_type);
end;

comment on function journal.unchanged(int2, oid) is 'SQL text: a large value is the same in both rows; null where values of the type are small.';

-- sql/journal/functions/elision_pieces.sql
-- Large values that an update left alone are stored on neither side, and named in `elided`. Not for a partitioned table: a row
-- that moves gets another place for its values, which could by chance bear the same number. Never for the key.
create function journal.elision_pieces(capture journal.capture, segment journal.segment, elides boolean) returns jsonb
language sql stable
begin atomic
    select pg_catalog.jsonb_build_object(
        'kept_old_values', pg_catalog.string_agg(case when c.same is null then c.old else pg_catalog.format('case when %s then null else %s end', c.same, c.old) end, ', ' order by c.n),
        'kept_new_values', pg_catalog.string_agg(case when c.same is null then c.new else pg_catalog.format('case when %s then null else %s end', c.same, c.new) end, ', ' order by c.n),
        'elided', case when pg_catalog.count(c.same) = 0 then 'null' else pg_catalog.format(
            'case when %s then array_remove(array[%s], null)::int2[] end', pg_catalog.string_agg(c.same, ' or '),
            pg_catalog.string_agg(pg_catalog.format('case when %s then %s end', c.same, c.attnum), ', ' order by c.n) filter (where c.same is not null)) end,
        'large', coalesce(pg_catalog.string_agg(journal.is_large('x.x' || c.attnum), ' or ') filter (where c.same is not null), 'false'))
      from (select a.attnum, a.n, journal.image_of('o.o' || a.attnum, a.stored) as old, journal.image_of('n.n' || a.attnum, a.stored) as new,
                   case when elides and a.attnum <> all (segment.key)
                        then '(' || journal.unchanged(a.attnum, a.type) || ')' end as same
              from (select s.attnum, s.type, s.stored, p.n
                      from unnest(capture.places) with ordinality as p (attnum, n)
                      join unnest(segment.attnums, segment.types, segment.image_types) as s (attnum, type, stored) on s.attnum = p.attnum) a
             where a.stored is not null) c;
end;

comment on function journal.elision_pieces(journal.capture, journal.segment, boolean) is 'Lists of columns, as SQL text, for images of an update that leave unchanged large values out.';

-- sql/journal/functions/capture_update.sql
-- The UPDATE branch of a capture function. One row has a statement of its own, which writes the ledger too: pairing costs more
-- than storing it. Whether any large value is there to be left out is asked once, since asking for every row costs more than that.
-- Whether there is a second row is asked by a join: where there is a sub-select the server walks through the query at each execution.
-- Only in a partition tree can rows be without a partner: one that moves may be swallowed by a trigger of the partition it moves to.
-- Only a FULL JOIN may join transition tables that may hold several rows: plans are cached at the first row count, and a nested loop
-- planned for one row is quadratic for a bulk statement. That join holds all rows, so it borrows memory: written to disk it takes a sixth of capture more.
create function journal.capture_update(partitioned boolean) returns text
language sql immutable
begin atomic
    select pg_catalog.replace(pg_catalog.replace(pg_catalog.replace($update$
        select {intact}, {serializable}, second.there is not null<unpaired>, {large}
          into intact, serializable, several, large
          from (select *, {padding} from new_rows) as x ({x})
          left join (select true from new_rows offset 1 limit 1) as second (there) on true
         limit 1;
        if not found then<moved>
            return null;
        end if;{checks}
        this_statement := nextval('journal.statement_id');
        if not several and large then
            with image as (
                insert into journal.{segment} (statement_id, {old_names}, {new_names}, elided)
                select this_statement, {kept_old_values}{had}, {kept_new_values}{has}, {elided}
                  from (select 1, * from new_rows) as n (place, {n}) left join (select 1, * from old_rows) as o (place, {o}) on true
            )
            {ledger_of_one_update}
            return null;
        elsif not several then
            with image as (
                insert into journal.{segment} (statement_id, {old_names}, {new_names})
                select this_statement, {old_values}, {new_values}
                  from (select 1, * from new_rows) as n (place, {n}) left join (select 1, * from old_rows) as o (place, {o}) on true
            )
            {ledger_of_one_update}
            return null;
        end if;
        memory := current_setting('work_mem');
        borrowed := set_config('work_mem', greatest(pg_size_bytes(memory) / 1024, 32768)::text, true);<pairs>
        get diagnostics images = row_count;
        borrowed := set_config('work_mem', memory, true);
        {ledger_of_update}$update$,
        '<unpaired>', case when partitioned then ' or exists (select from old_rows offset 1)' else '' end),
        '<moved>', case when partitioned then $moved$
            select {intact}, {serializable}, true, false into intact, serializable, several, large from (select *, {padding} from old_rows) as x ({x}) limit 1;
        end if;
        if not found then$moved$ else '' end),
        '<pairs>', case when partitioned then $partitioned$
        if (select count(*) from old_rows) = (select count(*) from new_rows) then
            insert into journal.{segment} (statement_id, {old_names}, {new_names})
            select this_statement, {old_values}, {new_values}
              from (select row_number() over (), * from old_rows) as o (place, {o})
              full join (select row_number() over (), * from new_rows) as n (place, {n}) on o.place = n.place;
        else
            insert into journal.{segment} (statement_id, {old_names}, {new_names})
            select this_statement, {old_values}, {new_values}
              from (select row_number() over (), * from old_rows) as o (place, {o})
              full join (select row_number() over (), * from new_rows) as n (place, {n}) on {same_key};
        end if;$partitioned$ else $plain$
        if not large then
            large := exists (select from (select *, {padding} from new_rows) as x ({x}) where {large});
        end if;
        if large then
            insert into journal.{segment} (statement_id, {old_names}, {new_names}, elided)
            select this_statement, {kept_old_values}{had}, {kept_new_values}{has}, {elided}
              from (select row_number() over (), * from old_rows) as o (place, {o})
              full join (select row_number() over (), * from new_rows) as n (place, {n}) on o.place = n.place;
        else
            insert into journal.{segment} (statement_id, {old_names}, {new_names})
            select this_statement, {old_values}, {new_values}
              from (select row_number() over (), * from old_rows) as o (place, {o})
              full join (select row_number() over (), * from new_rows) as n (place, {n}) on o.place = n.place;
        end if;$plain$ end);
end;

comment on function journal.capture_update(boolean) is 'SQL text of the UPDATE branch of a capture function.';

-- sql/journal/functions/capture_body.sql
-- Writes the body of a capture function. Transition tables are read through positional aliases, so renames and odd names are
-- harmless. The shape check is folded into the plan of the first query (shape_is), which depends on the table and is made
-- anew after every change of it; padding keeps that query valid when columns are gone. What is asked for each statement is asked in
-- one query, and only what needs no table in an IF: those two are cheap, every other query costs as much as storing half a row.
create function journal.capture_body(capture journal.capture, segment journal.segment, options journal.covered_table) returns text
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $capture_body$
declare
    partitioned constant boolean := (select c.relkind = 'p' from pg_class c where c.oid = capture.relation);
    pieces jsonb := journal.capture_pieces(capture, segment) || journal.elision_pieces(capture, segment, not partitioned);
begin
    pieces := pieces || jsonb_build_object(
        'shape', journal.fill('journal.shape_is({capture}, {types}, array[{present_types}])', pieces),
        'intact', journal.fill('journal.shape_is({capture}, {types}, array[{present_types}]) and tg_relid = journal.captured_relation({capture})', pieces),
        'serializable', $serializable$current_setting('transaction_isolation') = 'serializable'$serializable$,
        'refuse_agents', $refuse$
        if journal.has_agents() then
            if exists (select from journal.agent_role r where r.role_name in (session_user, current_setting('role'))) then
                perform journal.admit(tg_relid);
            end if;
        end if;$refuse$,
        'ledger_of_insert', journal.ledger_insert(segment, segment.segment_id, '''I'''),
        'ledger_of_update', journal.ledger_insert(segment, segment.segment_id, '''U'''),
        'ledger_of_one_update', journal.ledger_insert(segment, segment.segment_id, '''U''', '1'),
        'ledger_of_delete', journal.ledger_insert(segment, segment.segment_id, '''D'''),
        'ledger_of_truncate', journal.ledger_insert(segment, segment.segment_id, '''T'''),
        'ledger_of_records', journal.ledger_insert(segment, capture.record_id, 'left(tg_op, 1)::"char"'));
    pieces := pieces || jsonb_build_object('preamble', journal.fill(journal.capture_preamble(options), pieces),
                                           'checks', journal.fill(journal.capture_checks(options), pieces));
    pieces := pieces || jsonb_build_object('update', journal.fill(journal.capture_update(partitioned), pieces),
                                           'truncate', journal.fill(journal.capture_truncate(options), pieces));
    return journal.fill($body$
declare
    this_statement bigint;
    images bigint;
    intact boolean;
    serializable boolean;
    several boolean;
    large boolean;
    unbound boolean;
    settings jsonb;
    memory text;
    borrowed text;
begin{preamble}
    if tg_op = 'UPDATE' then{update}
    elsif tg_op = 'INSERT' then
        select {intact}, {serializable} into intact, serializable from (select *, {padding} from new_rows) as x ({x}) limit 1;
        if not found then
            return null;
        end if;{checks}
        this_statement := nextval('journal.statement_id');
        insert into journal.{segment} (statement_id, {new_names})
        select this_statement, {new_values} from (select 1, * from new_rows) as n (place, {n});
        get diagnostics images = row_count;
        {ledger_of_insert}
    elsif tg_op = 'DELETE' then
        select {intact}, {serializable} into intact, serializable from (select *, {padding} from old_rows) as x ({x}) limit 1;
        if not found then
            return null;
        end if;{checks}
        this_statement := nextval('journal.statement_id');
        insert into journal.{segment} (statement_id, {old_names})
        select this_statement, {old_values} from (select 1, * from old_rows) as o (place, {o});
        get diagnostics images = row_count;
        {ledger_of_delete}
    else{truncate}
    end if;
    return null;
end
$body$, pieces);
end
$capture_body$;

comment on function journal.capture_body(journal.capture, journal.segment, journal.covered_table) is 'Source of a capture function.';

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
create function journal.why_not_coverable(relation regclass, undo boolean default true) returns text
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
        when class.relkind not in ('r', 'p') then 'it is not a table'
        when class.relpersistence = 't' then 'it is temporary'
        when class.relispartition then format('it is a partition; cover %s', journal.qualified_name(pg_partition_root(relation)))
        when exists (select from pg_class c join journal.relations_of(relation) r on c.oid = r.member where c.relkind = 'f')
            then 'it has a foreign partition, whose changes the server does not show to triggers'
        when exists (select from pg_class c join journal.relations_of(relation) r on c.oid = r.member where c.relpersistence = 'u')
            then 'it is unlogged: its rows do not survive a crash, their images would'
        when class.relkind = 'r' and exists (select from pg_inherits i where relation in (i.inhrelid, i.inhparent)) then 'it takes part in inheritance'
        when exists (select from pg_rewrite r where r.ev_class = relation and r.ev_type <> '1') then 'a rule rewrites its statements'
        when not exists (select from pg_attribute a where a.attrelid = relation and a.attnum > 0 and not a.attisdropped and a.attgenerated = '')
            then 'it has no columns of its own'
        when undo and not exists (select from pg_index i where i.indrelid = relation and i.indisprimary) then 'it has no primary key'
        when exists (select from pg_index i join pg_attribute a on a.attrelid = i.indrelid and a.attnum = any (i.indkey)
                      where i.indrelid = relation and i.indisprimary and a.attgenerated <> '') then 'a generated column is part of its key'
        else journal.why_too_wide(relation)
    end;
end
$why_not_coverable$;

comment on function journal.why_not_coverable(regclass, boolean) is 'The reason why a relation cannot be covered, or null.';

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
    segment.kind := 'typed';
    select array_agg(a.attnum order by a.attnum), array_agg(a.attname order by a.attnum), array_agg(a.atttypid::regtype order by a.attnum),
           array_agg(case when a.attgenerated = '' and a.attnum <> all (excluded) then journal.image_type(a.atttypid) end order by a.attnum)
      into segment.attnums, segment.names, segment.types, segment.image_types
      from pg_attribute a
     where a.attrelid = relation and a.attnum > 0 and not a.attisdropped;
    select coalesce(array_agg(k.attnum order by k.n), '{}') into segment.key
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

-- sql/journal/functions/is_capture.sql
-- Whether a function is one of those that cover writes.
create function journal.is_capture(function oid) returns boolean
language sql stable
begin atomic
    select exists (select from pg_catalog.pg_proc p
                    where p.oid = function and p.pronamespace = 'journal'::pg_catalog.regnamespace and p.proname ~ '^capture_[0-9]+$');
end;

comment on function journal.is_capture(oid) is 'Whether a function is a capture function.';

-- sql/journal/functions/trigger_marks.sql
-- What the triggers of a relation that capture, or bear the name of one that does, look like now: name, state and function; where that was seen; oid and xmin. Disabling
-- and enabling a trigger again leaves the same state under a new xmin, so a comparison with the marks kept at cover shows every
-- gap, without superuser.
create function journal.trigger_marks(relation oid) returns text[]
language sql stable
begin atomic
    select coalesce(pg_catalog.array_agg(pg_catalog.concat_ws('|', pg_catalog.concat_ws(' ', t.tgname, t.tgenabled, p.proname),
                                                              pg_catalog.concat_ws(':', journal.cluster_id(), d.oid),
                                                              pg_catalog.concat_ws(':', t.oid, t.xmin)) order by t.tgname), '{}')
      from pg_catalog.pg_trigger t
      join pg_catalog.pg_proc p on p.oid = t.tgfoid
      join pg_catalog.pg_database d on d.datname = pg_catalog.current_database()
     where t.tgrelid = relation and t.tgparentid = 0
       and (t.tgname in ('journal_insert', 'journal_update', 'journal_delete', 'journal_truncate') or t.tgname like 'journal\_merge\_%'
            or journal.is_capture(t.tgfoid));
end;

comment on function journal.trigger_marks(oid) is 'State and identity of the capture triggers of a relation.';

-- sql/journal/functions/same_home.sql
-- Whether two sets of trigger marks were taken in the same database of the same cluster, so that oid and xmin mean something.
create function journal.same_home(sealed text[], present text[]) returns boolean
language sql immutable
begin atomic
    select pg_catalog.split_part(sealed[1], '|', 2) is not distinct from pg_catalog.split_part(present[1], '|', 2);
end;

comment on function journal.same_home(text[], text[]) is 'Whether two sets of trigger marks were taken in the same database.';

-- sql/journal/functions/marks_hold.sql
-- Whether the capture triggers are those that cover left. After a restore into another database they are new ones everywhere,
-- so their identity says nothing: their state has to do, until cover looks at them again.
create function journal.marks_hold(sealed text[], present text[]) returns boolean
language sql immutable
begin atomic
    select sealed <> '{}' and (sealed = present or not journal.same_home(sealed, present)
                                                   and array(select pg_catalog.split_part(m, '|', 1) from unnest(sealed) m)
                                                     = array(select pg_catalog.split_part(m, '|', 1) from unnest(present) m));
end;

comment on function journal.marks_hold(text[], text[]) is 'Whether capture triggers are as they were at cover, as far as can be told.';

-- sql/journal/functions/whole_xid.sql
-- The whole id of a transaction of which an xmin has 32 bits: the epoch is that of the present snapshot, or the one before it.
create function journal.whole_xid(short xid) returns xid8
language sql stable
begin atomic
    select (case when x.this_epoch < x.latest then x.this_epoch else x.this_epoch - 4294967296 end)::text::xid8
      from (select s.latest, s.latest / 4294967296 * 4294967296 + short::text::bigint as this_epoch
              from (select pg_catalog.pg_snapshot_xmax(pg_catalog.pg_current_snapshot())::text::bigint as latest) s) x;
end;

comment on function journal.whole_xid(xid) is 'The whole id of the transaction that wrote a row with this xmin.';

-- sql/journal/functions/attached_by.sql
-- The transaction that last attached a relation, or a partitioned table above it, to where it is now.
create function journal.attached_by(relation oid) returns xid8
language sql stable
begin atomic
    select journal.whole_xid(i.xmin)
      from pg_catalog.pg_inherits i
     where i.inhrelid = relation or i.inhrelid in (select a.relid from pg_catalog.pg_partition_ancestors(relation) a)
     order by 1 desc nulls last
     limit 1;
end;

comment on function journal.attached_by(oid) is 'The transaction that attached a partition, or a table that inherits.';

-- sql/journal/functions/unwatched.sql
-- Relations of a covered table whose changes may have gone unrecorded: partitions that were attached later, and those
-- whose capture triggers are not as cover left them. A partition that was detached is no longer the table's. Cover refuses a
-- table that takes part in inheritance: where one does, a table came to inherit from it, or it from another, later.
create function journal.unwatched(covered journal.covered_table) returns table (member oid, attached_by xid8)
language sql stable
begin atomic
    select r.member, case when c.relation is null then journal.attached_by(r.member) end
      from journal.relations_of(covered.relation) r
      left join journal.capture c on c.segment_id = covered.segment_id and c.relation = r.member
     where c.relation is null or not journal.marks_hold(c.trigger_marks, journal.trigger_marks(r.member))
     union all
    select i.inhrelid, journal.attached_by(i.inhrelid)
      from pg_catalog.pg_inherits i
      join pg_catalog.pg_class t on t.oid = i.inhparent and t.relkind = 'r'
     where covered.relation in (i.inhrelid, i.inhparent);
end;

comment on function journal.unwatched(journal.covered_table) is 'Relations of a covered table with a gap; attached_by is null where triggers were touched.';

-- sql/journal/functions/has_records.sql
-- Whether a table has rows in whole form, which cover would bring into typed form.
create function journal.has_records(relation regclass) returns boolean
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $has_records$
declare
    record_id integer;
    found     boolean := false;
begin
    select s.segment_id into record_id from journal.segment s
     where s.relation = has_records.relation and s.until_at is null and s.kind = 'record';
    if record_id is not null then
        execute format('select exists (select from journal.segment_%s)', record_id) into found;
    end if;
    return found;
end
$has_records$;

comment on function journal.has_records(regclass) is 'Whether writes of a table met a shape that cover had not seen.';

-- sql/journal/functions/check_owner.sql
-- The definer functions of cover and uncover do what only the table's owner may ask for. A table that is gone has none.
create function journal.check_owner(relation regclass) returns void
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $check_owner$
begin
    if not pg_has_role(journal.caller(), (select c.relowner from pg_class c where c.oid = check_owner.relation), 'usage') then
        raise exception using errcode = '42501', message = format('must be owner of table %s to cover it, or to stop that', check_owner.relation);
    end if;
end
$check_owner$;

comment on function journal.check_owner(regclass) is 'Raises unless the caller owns the table. Private.';

-- sql/journal/functions/why_gap.sql
-- Why changes of a covered table may have gone unrecorded, or null.
create function journal.why_gap(covered journal.covered_table) returns text
language sql stable
begin atomic
    select case when u.attached_by is null then 'its capture triggers were disabled, dropped or changed'
                else pg_catalog.format(case when c.relispartition then 'its partition %s was attached after it was covered'
                                            else '%s was made to inherit after it was covered' end, journal.qualified_name(u.member)) end
      from journal.unwatched(covered) u
      join pg_catalog.pg_class c on c.oid = u.member
     order by u.attached_by nulls first, u.member
     limit 1;
end;

comment on function journal.why_gap(journal.covered_table) is 'Why changes of a covered table may be missing, or null.';

-- sql/journal/functions/note_gap.sql
-- Cover mends a gap, and uncover forgets the marks that show it; that there was one must not be forgotten. Whoever is about to
-- touch triggers or marks looks first, once in a transaction: what it does to them itself is no gap.
create function journal.note_gap(relation regclass) returns void
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
as $note_gap$
begin
    insert into journal.gap (relation, reason, from_at, attached_by)
    select c.relation, journal.why_gap(c), c.covered_at, min(u.attached_by) filter (where u.whole)
      from journal.covered_table c
     cross join lateral (select w.attached_by, bool_and(w.attached_by is not null) over () as whole from journal.unwatched(c) w) u
     where c.relation = note_gap.relation and c.looked_at_by is distinct from pg_current_xact_id()
     group by c.relation, c.covered_at, c.*;
    update journal.covered_table c set looked_at_by = pg_current_xact_id() where c.relation = note_gap.relation;
end
$note_gap$;

comment on function journal.note_gap(regclass) is 'Remembers the gap of a table that is about to be mended or uncovered. Private.';

-- sql/journal/functions/why_stale.sql
-- Why a covered table is not recorded in the form that it has now, or has become one that cover refuses; or null.
create function journal.why_stale(covered journal.covered_table) returns text
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $why_stale$
declare
    shape   constant journal.segment := journal.present_shape(covered.relation, covered.excluded);
    segment journal.segment;
begin
    select s.* into segment from journal.segment s where s.segment_id = covered.segment_id;
    if shape.attnums <> segment.attnums or shape.types <> segment.types or shape.key <> segment.key then
        return coalesce(journal.why_not_coverable(covered.relation, covered.undo), 'its shape changed since it was covered');
    elsif journal.has_records(covered.relation) then
        return 'rows that were written while its shape was unknown are kept whole';
    end if;
    return journal.why_not_coverable(covered.relation, covered.undo);
end
$why_stale$;

comment on function journal.why_stale(journal.covered_table) is 'Why a covered table is not recorded in its present form, or null.';

-- sql/journal/functions/why_unsure.sql
-- What cannot be known about a covered table, although nothing speaks against its coverage, or null.
create function journal.why_unsure(covered journal.covered_table) returns text
language sql stable
begin atomic
    select 'it was restored from another database: its triggers are in place, but a gap since the restore would not be seen'
     where exists (select from journal.capture c
                    where c.segment_id = covered.segment_id and not journal.same_home(c.trigger_marks, journal.trigger_marks(c.relation)));
end;

comment on function journal.why_unsure(journal.covered_table) is 'What cannot be known about a covered table until it is covered again, or null.';

-- sql/journal/functions/uncovered_state.sql
-- The state of a table that is not covered: can it be, and how.
create function journal.uncovered_state(relation regclass) returns jsonb
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $uncovered_state$
declare
    fix    constant text := format('journal cover %s', journal.qualified_name(coalesce(pg_partition_root(relation), relation)));
    reason constant text := journal.why_not_coverable(relation);
begin
    if cardinality(journal.trigger_marks(relation)) > 0 then
        return jsonb_build_object('status', 'gap', 'reason', 'it has capture triggers but is not covered', 'fix', format('journal uncover %s', journal.qualified_name(relation)));
    elsif reason is null or (select c.relispartition from pg_class c where c.oid = relation) then
        return jsonb_build_object('status', 'uncovered', 'fix', fix);
    elsif journal.why_not_coverable(relation, false) is null then
        return jsonb_build_object('status', 'uncovered', 'reason', reason || ': its changes can be recorded but not undone', 'fix', fix || ' --audit-only');
    end if;
    return jsonb_build_object('status', 'uncoverable', 'reason', reason);
end
$uncovered_state$;

comment on function journal.uncovered_state(regclass) is 'Status, reason and fix of a table that is not covered.';

-- sql/journal/functions/cover_command.sql
-- The command that covers a table as it is covered: a fix must not forget that a column holds secrets.
create function journal.cover_command(covered journal.covered_table) returns text
language sql stable
begin atomic
    select pg_catalog.concat_ws(' ', 'journal cover', journal.qualified_name(covered.relation),
               case covered.writers when 'agents' then '--agents-only' end,
               case when not covered.undo then '--audit-only' end,
               case when covered.strict_shape then '--strict' end,
               (select pg_catalog.string_agg('--exclude ' || n, ' ') from unnest(journal.attribute_names(covered.relation, covered.excluded)) as n),
               (select pg_catalog.string_agg('--counter ' || n, ' ') from unnest(journal.attribute_names(covered.relation, covered.counters)) as n),
               (select pg_catalog.string_agg('--maintained ' || n, ' ') from unnest(journal.attribute_names(covered.relation, covered.maintained)) as n),
               case covered.on_truncate when 'refuse' then '--truncate refuse' end);
end;

comment on function journal.cover_command(journal.covered_table) is 'The command that covers a table with the options it has.';

-- sql/journal/functions/coverage_state.sql
-- Status, reason and fix of one table's coverage: the one home of the rules that the coverage view shows. A partition is
-- covered as part of the table it belongs to.
create function journal.coverage_state(relation regclass) returns jsonb
language plpgsql stable security definer
set search_path = pg_catalog, pg_temp
set quote_all_identifiers = off
as $coverage_state$
declare
    root    constant regclass := coalesce(pg_partition_root(relation), relation);
    covered journal.covered_table;
    reason  text;
begin
    select * into covered from journal.covered_table c where c.relation = root;
    if covered.relation is null then
        return journal.uncovered_state(relation);
    end if;
    reason := journal.why_gap(covered);
    if reason is not null then
        return jsonb_build_object('status', 'gap', 'reason', reason, 'fix', journal.cover_command(covered), 'gap_since', covered.covered_at);
    end if;
    reason := journal.why_stale(covered);
    if reason is not null then
        return jsonb_build_object('status', 'stale', 'reason', reason, 'fix', journal.cover_command(covered));
    end if;
    reason := journal.why_unsure(covered);
    if reason is not null then
        return jsonb_build_object('status', 'covered', 'reason', reason, 'fix', journal.cover_command(covered));
    end if;
    return jsonb_build_object('status', 'covered');
end
$coverage_state$;

comment on function journal.coverage_state(regclass) is 'Status (covered, stale, gap, uncovered, uncoverable), reason and fix of a table''s coverage.';

-- sql/journal/functions/make_segment_table.sql
-- The physical table of a segment. No typmod, collation, default or constraint: an image is what was there.
create function journal.make_segment_table(segment journal.segment, name text) returns void
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $make_segment_table$
begin
    execute format('create table journal.%I (statement_id bigint not null%s)', name, case segment.kind
        when 'record' then ', attnums int2[], names text[], types oid[], o text[], n text[]'
        else (select coalesce(string_agg(format(', %s%s %s', side, a.attnum, ltrim(a.stored, '*')), '' order by side desc, a.n), '')
                from unnest(segment.attnums, segment.image_types) with ordinality as a (attnum, stored, n), unnest('{o,n}'::text[]) as side
               where a.stored is not null)
             || case when segment.key = '{}' then ', had boolean, has boolean' else '' end || ', elided int2[]' end);
    execute format('create index on journal.%I (statement_id)', name);
    execute format('comment on table journal.%I is %L', name, format(
        'Images of %s, shape %s: o before, n after, numbered by attnum; elided: unchanged, on neither side. Private; read journal.changes.',
        segment.table_name, segment.shape));
end
$make_segment_table$;

comment on function journal.make_segment_table(journal.segment, text) is 'Makes the physical table of a segment.';

-- sql/journal/functions/add_segment.sql
-- Registers a segment and makes its physical table.
create function journal.add_segment(segment journal.segment) returns journal.segment
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $add_segment$
begin
    insert into journal.segment (relation, table_name, shape, kind, attnums, names, types, image_types, key)
    select segment.relation, segment.table_name, 1 + coalesce(max(s.shape), 0), segment.kind, segment.attnums, segment.names, segment.types,
           segment.image_types, segment.key
      from journal.segment s where s.relation = segment.relation
    returning * into segment;
    perform journal.make_segment_table(segment, 'segment_' || segment.segment_id);
    return segment;
end
$add_segment$;

comment on function journal.add_segment(journal.segment) is 'Makes a segment.';

-- sql/journal/functions/type_records.sql
-- Brings rows that were kept whole into the form of every other segment. Attnums are never used twice, so shapes that came one
-- after another fit side by side: a column that a row did not have counts as elided, one that was retyped stays text. A column that
-- was excluded when the rows were written has no image, as in every other segment: an undo must know that it was there. Texts are
-- read under the settings that they were written under.
create function journal.type_records(record_id integer, current journal.segment) returns void
language plpgsql volatile
set search_path = pg_catalog, pg_temp
set datestyle = 'ISO, MDY'
set intervalstyle = postgres
set timezone = UTC
set xmloption = content
set array_nulls = on
set lc_monetary = 'C'
as $type_records$
declare
    segment journal.segment;
    has_key boolean;
begin
    select s.* into segment from journal.segment s where s.segment_id = type_records.record_id;
    segment.kind := 'typed';
    execute format($shapes$
        select array_agg(attnum order by attnum), array_agg(name order by attnum), array_agg(type order by attnum),
               array_agg(case kinds when 0 then null when 1 then coalesce(journal.image_type(type), '*text') else '*text' end order by attnum)
          from (select a.attnum, (array_agg(a.name::name order by r.statement_id desc))[1] as name,
                       (array_agg(a.type::regtype order by r.statement_id desc))[1] as type, count(distinct a.type) as kinds
                  from journal.segment_%s r, unnest(r.attnums, r.names, r.types) as a (attnum, name, type)
                 group by a.attnum
                 union all
                select a.attnum, a.name, a.type, 0
                  from journal.covered_table o, unnest($1, $2, $3) as a (attnum, name, type)
                 where o.relation = $4 and a.attnum = any (o.excluded)) as c$shapes$, record_id)
       into segment.attnums, segment.names, segment.types, segment.image_types
      using current.attnums, current.names, current.types, current.relation;
    execute format('select not exists (select from journal.segment_%s where not %L::int2[] <@ attnums)', record_id, current.key) into has_key;
    segment.key := case when has_key then current.key else '{}' end;
    perform journal.make_segment_table(segment, 'typed_' || record_id);
    execute (
        select format('insert into journal.typed_%1$s (statement_id, elided, %2$s%4$s)
                       select statement_id, (select array_agg(m) from unnest(%3$L::int2[]) m where m <> all (attnums)), %5$s%6$s
                         from journal.segment_%1$s order by statement_id',
                      record_id, string_agg(format('o%1$s, n%1$s', a.attnum), ', ' order by a.attnum), array_agg(a.attnum),
                      case when segment.key = '{}' then ', had, has' else '' end,
                      string_agg(format('o[array_position(attnums, %1$s)]::%2$s, n[array_position(attnums, %1$s)]::%2$s', a.attnum, ltrim(a.stored, '*')), ', ' order by a.attnum),
                      case when segment.key = '{}' then ', o is not null, n is not null' else '' end)
          from unnest(segment.attnums, segment.image_types) as a (attnum, stored) where a.stored is not null);
    execute format('drop table journal.segment_%1$s', record_id);
    execute format('alter table journal.typed_%1$s rename to segment_%1$s', record_id);
    update journal.segment s
       set kind = segment.kind, key = segment.key, attnums = segment.attnums, names = segment.names, types = segment.types,
           image_types = segment.image_types, until_at = clock_timestamp()
     where s.segment_id = type_records.record_id;
end
$type_records$;

comment on function journal.type_records(integer, journal.segment) is 'Turns a segment of whole rows into a typed one.';

-- sql/journal/functions/current_segment.sql
-- The open segment of exactly this shape, or a new one that takes over from the one before it.
create function journal.current_segment(shape journal.segment) returns journal.segment
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $current_segment$
declare
    segment journal.segment;
begin
    select s.* into segment from journal.segment s
     where s.relation = shape.relation and s.until_at is null and s.kind = 'typed' and s.attnums = shape.attnums and s.names = shape.names
       and s.types = shape.types and s.image_types = shape.image_types and s.key = shape.key;
    if not found then
        update journal.segment s set until_at = clock_timestamp()
         where s.relation = shape.relation and s.until_at is null and s.kind = 'typed';
        segment := journal.add_segment(shape);
    end if;
    return segment;
end
$current_segment$;

comment on function journal.current_segment(journal.segment) is 'The open segment for a shape; made where there is none.';

-- sql/journal/functions/record_segment.sql
-- The segment that takes rows of unknown shapes. One that holds rows is brought into typed form, and an empty one follows.
create function journal.record_segment(current journal.segment) returns integer
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $record_segment$
declare
    record_id integer;
    written   boolean;
begin
    select s.segment_id into record_id from journal.segment s
     where s.relation = current.relation and s.until_at is null and s.kind = 'record';
    if found then
        execute format('select exists (select from journal.segment_%s)', record_id) into written;
        if not written then
            return record_id;
        end if;
        perform journal.type_records(record_id, current);
    end if;
    current.kind := 'record';
    current.attnums := '{}'; current.names := '{}'; current.types := '{}'; current.image_types := '{}'; current.key := '{}';
    return (journal.add_segment(current)).segment_id;
end
$record_segment$;

comment on function journal.record_segment(journal.segment) is 'The empty segment for rows of unknown shapes; one that is not empty is brought into typed form.';

-- sql/journal/functions/write_capture.sql
-- Writes the capture function of one relation. Whoever may execute it can put it behind a trigger that shows it other rows: nobody may.
create function journal.write_capture(capture journal.capture, segment journal.segment, options journal.covered_table) returns text
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $write_capture$
begin
    execute format('create or replace function journal.%I() returns trigger language plpgsql security definer
                    set search_path = pg_catalog, pg_temp set jit = off%s as %L',
                   'capture_' || capture.capture_id,
                   case when exists (select from unnest(segment.image_types) t where t like '*%') then journal.pinned_settings() else '' end,
                   journal.capture_body(capture, segment, options));
    execute format('revoke all on function journal.%I() from public', 'capture_' || capture.capture_id);
    execute format('comment on function journal.%I() is %L', 'capture_' || capture.capture_id,
                   format('Records changes of %s. Private.', journal.qualified_name(capture.relation)));
    return format('journal.%I', 'capture_' || capture.capture_id);
end
$write_capture$;

comment on function journal.write_capture(journal.capture, journal.segment, journal.covered_table) is 'Writes the capture function of one relation; returns its name.';

-- sql/journal/functions/make_capture.sql
-- Remembers how the columns of a relation stand for those of the covered table, and writes its capture function.
create function journal.make_capture(member oid, segment journal.segment, record_id integer, options journal.covered_table) returns text
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $make_capture$
declare
    capture journal.capture;
begin
    insert into journal.capture as c (segment_id, record_id, relation, attnums, places)
    select segment.segment_id, make_capture.record_id, member, array_agg(a.attnum order by a.attnum), array_agg(s.attnum order by a.attnum)
      from pg_attribute a
      join unnest(segment.attnums, segment.names) as s (attnum, name) on s.name = a.attname
     where a.attrelid = member and a.attnum > 0 and not a.attisdropped
    on conflict on constraint capture_segment_id_relation_key do update
       set record_id = excluded.record_id, attnums = excluded.attnums, places = excluded.places
    returning c.* into capture;
    return journal.write_capture(capture, segment, options);
end
$make_capture$;

comment on function journal.make_capture(oid, journal.segment, integer, journal.covered_table) is 'Makes the capture of one relation; returns the name of its function.';

-- sql/journal/functions/lend_capture.sql
-- Whoever creates a trigger must be allowed to execute its function: cover lends the right to its caller until it has sealed.
create function journal.lend_capture(capture text) returns text
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $lend_capture$
begin
    if not has_function_privilege(journal.caller(), capture || '()', 'execute') then
        execute format('grant execute on function %s() to %I', capture, journal.caller());
    end if;
    return capture;
end
$lend_capture$;

comment on function journal.lend_capture(text) is 'Lets the caller create triggers with a capture function; returns its name. Private.';

-- sql/journal/functions/take_back_capture.sql
-- Takes back what lend_capture gave.
create function journal.take_back_capture(capture text) returns void
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $take_back_capture$
declare
    holder regrole;
begin
    for holder in
        select a.grantee from pg_proc p, aclexplode(p.proacl) a
         where p.oid = to_regprocedure(capture || '()') and a.grantee <> p.proowner
    loop
        execute format('revoke all on function %s() from %s', capture, holder);
    end loop;
end
$take_back_capture$;

comment on function journal.take_back_capture(text) is 'Lets nobody but the owner execute a capture function. Private.';

-- sql/journal/functions/make_segment.sql
-- The definer half of cover: makes or reuses the segment for the table's present shape, brings rows that were kept whole into
-- typed form, and writes the capture functions. The caller, who owns the table, creates the triggers.
create function journal.make_segment(relation regclass, options journal.covered_table) returns table (member oid, kind "char", capture text)
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
set quote_all_identifiers = off
as $make_segment$
#variable_conflict use_column
declare
    segment journal.segment := journal.present_shape(make_segment.relation, options.excluded);
    record_id integer;
begin
    perform journal.check_owner(make_segment.relation);
    perform journal.note_gap(make_segment.relation);
    insert into journal.gap (relation, reason, from_at)
    select make_segment.relation, 'it was not covered', max(s.until_at)
      from journal.segment s
     where s.relation = make_segment.relation and not exists (select from journal.covered_table c where c.relation = make_segment.relation)
    having max(s.until_at) is not null;
    segment := journal.current_segment(segment);
    record_id := journal.record_segment(segment);
    insert into journal.covered_table (relation, segment_id, writers, undo, strict_shape, on_truncate, excluded, counters, maintained)
    values (make_segment.relation, segment.segment_id, options.writers, options.undo, options.strict_shape, options.on_truncate, options.excluded,
            options.counters, options.maintained)
    on conflict on constraint covered_table_pkey do update set
        segment_id = excluded.segment_id, writers = excluded.writers, undo = excluded.undo, strict_shape = excluded.strict_shape,
        on_truncate = excluded.on_truncate, excluded = excluded.excluded, counters = excluded.counters, maintained = excluded.maintained;
    return query select r.member, r.kind, journal.lend_capture(journal.make_capture(r.member, segment, record_id, options))
                   from journal.relations_of(make_segment.relation) r;
end
$make_segment$;

comment on function journal.make_segment(regclass, journal.covered_table) is
    'The part of cover that needs the journal''s rights; returns each relation with its capture function. Private: call journal.cover.';

-- sql/journal/functions/keep_row.sql
-- Trigger function of the trigger that set_triggers puts on partitioned tables only to be there. It is never run.
create function journal.keep_row() returns trigger
language plpgsql
as $keep_row$
begin
    return new;
end
$keep_row$;

comment on function journal.keep_row() is 'Keeps a row as it is. Private.';

-- sql/journal/functions/set_merge_trigger.sql
-- After a MERGE has inserted a row into a partition, the server shows that row to triggers in place of every row that the MERGE
-- updates (15 to 18), unless partitions have a BEFORE INSERT trigger for rows. So the root of a tree gets one that never runs.
-- Partitions inherit it: its name must be one that no table attached later brings along.
create function journal.set_merge_trigger(relation regclass, kind "char", capture text) returns void
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $set_merge_trigger$
declare
    wanted constant boolean := kind = 'p' and relation = pg_partition_root(relation);
    found  constant name := (select t.tgname from pg_trigger t where t.tgrelid = relation and t.tgparentid = 0 and t.tgname like 'journal\_merge\_%' limit 1);
begin
    if wanted and found is null then
        execute format('create trigger %I before insert on %s for each row when (false) execute function journal.keep_row()',
                       'journal_merge_' || substr(capture, length('journal.capture_') + 1), journal.qualified_name(relation));
    elsif found is not null and not wanted then
        execute format('drop trigger %I on %s', found, journal.qualified_name(relation));
    end if;
end
$set_merge_trigger$;

comment on function journal.set_merge_trigger(regclass, "char", text) is 'Creates the trigger that a partitioned table needs for MERGE, as the caller.';

-- sql/journal/functions/set_triggers.sql
-- Creates the capture triggers of one relation, as the caller, who must own it. One that is there already and calls the same
-- function is left alone, so that its xmin keeps telling whether it was ever disabled. A partitioned table needs none for
-- TRUNCATE: those of its partitions fire too. Others that call a capture function would record what never was: they go.
create function journal.set_triggers(relation regclass, kind "char", capture text) returns void
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $set_triggers$
declare
    foreigner name;
    wanted    record;
begin
    for foreigner in
        select t.tgname from pg_trigger t
         where t.tgrelid = relation and t.tgparentid = 0 and journal.is_capture(t.tgfoid)
           and t.tgname not in ('journal_insert', 'journal_update', 'journal_delete', 'journal_truncate')
    loop
        execute format('drop trigger %I on %s', foreigner, journal.qualified_name(relation));
    end loop;
    for wanted in
        select * from (values
            ('journal_insert', 'after insert', 'referencing new table as new_rows'),
            ('journal_update', 'after update', 'referencing old table as old_rows new table as new_rows'),
            ('journal_delete', 'after delete', 'referencing old table as old_rows'),
            ('journal_truncate', 'before truncate', '')) as w (name, event, tables)
         where not (kind = 'p' and w.name = 'journal_truncate')
    loop
        continue when exists (select from pg_trigger t where t.tgrelid = relation and t.tgname = wanted.name
                                 and t.tgfoid = to_regproc(capture) and t.tgenabled = 'O');
        if exists (select from pg_trigger t where t.tgrelid = relation and t.tgname = wanted.name) then
            execute format('drop trigger %I on %s', wanted.name, journal.qualified_name(relation));
        end if;
        execute format('create trigger %I %s on %s %s for each statement execute function %s()',
                       wanted.name, wanted.event, journal.qualified_name(relation), wanted.tables, capture);
    end loop;
    perform journal.set_merge_trigger(relation, kind, capture);
end
$set_triggers$;

comment on function journal.set_triggers(regclass, "char", text) is 'Creates the capture triggers of a relation, as the caller.';

-- sql/journal/functions/let_capture_read.sql
-- A TRUNCATE shows its rows to no trigger: capture reads them from the table, so the journal's owner needs the right to.
-- Runs as the table's owner, who may be unable to let it into the schema: then TRUNCATE is refused. It is refused too where a column is excluded,
-- for which the right is not given. The right to enter the schema is not taken back: other tables may need it.
create function journal.let_capture_read(relation oid, allowed boolean) returns void
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $let_capture_read$
declare
    reader constant oid := (select n.nspowner from pg_namespace n where n.nspname = 'journal');
    home   constant oid := (select c.relnamespace from pg_class c where c.oid = relation);
begin
    if allowed and not has_schema_privilege(reader, home, 'usage') and has_schema_privilege(home, 'usage with grant option') then
        execute format('grant usage on schema %s to %I', home::regnamespace, pg_get_userbyid(reader));
    end if;
    if allowed and not has_table_privilege(reader, relation, 'select') then
        execute format('grant select on %s to %I', journal.qualified_name(relation), pg_get_userbyid(reader));
    elsif not allowed and exists (select from pg_class c, aclexplode(c.relacl) a
                                   where c.oid = relation and a.grantee = reader and a.grantee <> c.relowner and a.privilege_type = 'SELECT') then
        execute format('revoke select on %s from %I', journal.qualified_name(relation), pg_get_userbyid(reader));
    end if;
end
$let_capture_read$;

comment on function journal.let_capture_read(oid, boolean) is 'Grants the journal''s owner the right to read a table whose TRUNCATE is captured, and to enter its schema where the caller may, or takes the first back.';

-- sql/journal/functions/drop_captures.sql
-- Drops the capture functions of a table that no trigger calls any more.
create function journal.drop_captures(relation regclass) returns void
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $drop_captures$
declare
    unused record;
begin
    for unused in
        select c.capture_id
          from journal.capture c
          join journal.segment s using (segment_id)
         where s.relation = drop_captures.relation
           and not exists (select from pg_trigger t where t.tgfoid = to_regproc('journal.capture_' || c.capture_id))
    loop
        delete from journal.capture c where c.capture_id = unused.capture_id;
        execute format('drop function if exists journal.%I()', 'capture_' || unused.capture_id);
    end loop;
end
$drop_captures$;

comment on function journal.drop_captures(regclass) is 'Drops capture functions of a table that no trigger calls.';

-- sql/journal/functions/seal_coverage.sql
-- The last step of cover: remembers the triggers as they were created, and drops capture functions that no trigger calls.
create function journal.seal_coverage(relation regclass) returns void
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
as $seal_coverage$
declare
    member record;
    moved  boolean := false;
begin
    perform journal.check_owner(seal_coverage.relation);
    perform journal.note_gap(seal_coverage.relation);
    for member in
        select c.capture_id, c.trigger_marks as sealed, journal.trigger_marks(r.member) as present, case when r.kind = 'p' and r.member <> seal_coverage.relation then 3 else 4 end as triggers
          from journal.relations_of(seal_coverage.relation) r
          join journal.covered_table t on t.relation = seal_coverage.relation
          left join journal.capture c on c.segment_id = t.segment_id and c.relation = r.member
    loop
        if member.capture_id is null or cardinality(member.present) <> member.triggers then
            raise exception using
                errcode = 'JR029', message = format('the capture triggers of %s are not complete', relation),
                hint = 'call journal.cover, which makes them first';
        end if;
        perform journal.take_back_capture('journal.capture_' || member.capture_id);
        update journal.capture c set trigger_marks = member.present where c.capture_id = member.capture_id and c.trigger_marks <> member.present;
        moved := moved or member.sealed <> member.present;
    end loop;
    update journal.covered_table c set covered_at = clock_timestamp() where c.relation = seal_coverage.relation and moved;
    perform journal.drop_captures(relation);
end
$seal_coverage$;

comment on function journal.seal_coverage(regclass) is 'Remembers the capture triggers of a table as they are. Private: call journal.cover.';

-- sql/journal/functions/refuse_uncoverable.sql
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

-- sql/journal/functions/why_not_excludable.sql
-- Rows are told apart by their key, so it is part of every image.
create function journal.why_not_excludable(relation regclass, excluded int2[]) returns text
language sql stable
begin atomic
    select case
        when s.key && excluded then 'its key cannot be excluded'
        when s.attnums <@ excluded then 'nothing of it would be recorded'
        end
      from journal.present_shape(relation) s;
end;

comment on function journal.why_not_excludable(regclass, int2[]) is 'The reason why columns cannot be excluded, or null.';

-- sql/journal/functions/cover.sql
-- Covers a table, or brings its segment, capture functions and triggers to the present. Runs as the table's owner: only
-- the owner may create the triggers; what needs the journal's rights is done by make_segment.
create function journal.cover(
    relation   regclass,
    writers    text default 'all',
    undo       boolean default true,
    exclude    text[] default '{}',
    counters   text[] default '{}',
    maintained text[] default '{}',
    truncate   text default 'capture',
    strict     boolean default false
) returns jsonb
language plpgsql volatile
set search_path = pg_catalog, pg_temp
set quote_all_identifiers = off
as $cover$
declare
    options journal.covered_table;
    before  constant jsonb := journal.coverage_state(relation);
begin
    perform journal.refuse_uncoverable(relation, journal.why_not_coverable(relation, undo));
    execute format('lock table %s in share row exclusive mode', journal.qualified_name(relation));
    options.relation := relation;
    options.writers := writers;
    options.undo := undo;
    options.strict_shape := cover.strict;
    options.on_truncate := truncate;
    options.excluded := journal.column_numbers(relation, exclude, 'excluded');
    options.counters := journal.column_numbers(relation, counters, 'a counter');
    options.maintained := journal.column_numbers(relation, maintained, 'maintained');
    perform journal.refuse_uncoverable(relation, journal.why_not_excludable(relation, options.excluded));
    perform journal.set_triggers(m.member::regclass, m.kind, m.capture) from journal.make_segment(relation, options) m;
    perform journal.let_capture_read(r.member, truncate = 'capture' and exclude = '{}') from journal.relations_of(relation) r where r.kind <> 'p';
    perform journal.seal_coverage(relation);
    return jsonb_build_object('table', journal.qualified_name(relation), 'before', before, 'after', journal.coverage_state(relation));
end
$cover$;

comment on function journal.cover(regclass, text, boolean, text[], text[], text[], text, boolean) is
    'Covers a table, or brings its coverage to the present; idempotent. writers: all, agents; undo: false records only; truncate: capture, refuse; strict: writes fail when the shape is not the one covered. Raises NotCoverable. Returns {table, before, after}.';

-- sql/journal/functions/cover_options.sql
-- The options of a covered table, for its owner to cover it again.
create function journal.cover_options(relation regclass) returns journal.covered_table
language sql stable security definer
set search_path = pg_catalog, pg_temp
begin atomic
    select c.* from journal.covered_table c where c.relation = cover_options.relation;
end;

comment on function journal.cover_options(regclass) is 'The options that a table is covered with; null where it is not. Private: call journal.cover_again.';

-- sql/journal/functions/cover_again.sql
-- Covers a table anew with the options it has: what doctor does about stale coverage and gaps.
create function journal.cover_again(relation regclass) returns jsonb
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $cover_again$
declare
    root    constant regclass := coalesce(pg_partition_root(relation), relation);
    options constant journal.covered_table := journal.cover_options(root);
begin
    if options.relation is null then
        return journal.cover(root);
    end if;
    return journal.cover(root, options.writers, options.undo, journal.attribute_names(root, options.excluded),
                         journal.attribute_names(root, options.counters), journal.attribute_names(root, options.maintained),
                         options.on_truncate, options.strict_shape);
end
$cover_again$;

comment on function journal.cover_again(regclass) is 'Covers a table, or the table that a partition belongs to, with the options that it has. Returns what journal.cover returns.';

-- sql/journal/functions/forget_coverage.sql
-- The definer half of uncover: closes the segments, forgets the options, drops the capture functions.
create function journal.forget_coverage(relation regclass) returns void
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
as $forget_coverage$
begin
    perform journal.check_owner(forget_coverage.relation);
    perform journal.note_gap(forget_coverage.relation);
    if cardinality(journal.trigger_marks(relation)) > 0 then
        raise exception using
            errcode = 'JR029', message = format('%s still has capture triggers', relation), hint = 'call journal.uncover, which drops them first';
    end if;
    delete from journal.covered_table c where c.relation = forget_coverage.relation;
    perform journal.drop_captures(relation);
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
    found record;
begin
    perform journal.note_gap(relation);
    for found in
        select t.tgname, t.tgrelid
          from journal.relations_of(uncover.relation) r
          join pg_trigger t on t.tgrelid = r.member
         where t.tgparentid = 0
           and (t.tgname in ('journal_insert', 'journal_update', 'journal_delete', 'journal_truncate') or t.tgname like 'journal\_merge\_%'
                or journal.is_capture(t.tgfoid))
    loop
        execute format('drop trigger %I on %s', found.tgname, journal.qualified_name(found.tgrelid));
    end loop;
    perform journal.let_capture_read(r.member, false) from journal.relations_of(uncover.relation) r;
    perform journal.forget_coverage(relation);
end
$uncover$;

comment on function journal.uncover(regclass) is 'Stops journaling a table; its images stay. Does nothing where the table is not covered.';

-- sql/journal/functions/follow_shape.sql
-- Brings the coverage of a table whose shape changed to the present without touching a trigger: a segment of the new shape, and the
-- capture functions replaced where they stand. So it needs no right on the table. What cannot be covered any more stays stale.
create function journal.follow_shape(relation regclass) returns void
language plpgsql volatile
set search_path = pg_catalog, pg_temp
set quote_all_identifiers = off
as $follow_shape$
declare
    options journal.covered_table;
    segment journal.segment;
begin
    select * into options from journal.covered_table c where c.relation = follow_shape.relation for update;
    if journal.why_stale(options) is null or journal.why_not_coverable(relation, options.undo) is not null then
        return;
    end if;
    segment := journal.current_segment(journal.present_shape(relation, options.excluded));
    update journal.covered_table c set segment_id = segment.segment_id where c.relation = follow_shape.relation;
    update journal.capture c set segment_id = segment.segment_id where c.segment_id = options.segment_id;
    perform journal.make_capture(c.relation, segment, r.record_id, options)
       from (select journal.record_segment(segment) as record_id offset 0) r, journal.capture c
      where c.segment_id = segment.segment_id and c.relation in (select m.member from journal.relations_of(follow_shape.relation) m);
end
$follow_shape$;

comment on function journal.follow_shape(regclass) is 'Makes the next segment of a covered table whose shape changed. Private.';

-- sql/journal/functions/follow_ddl.sql
-- For an event trigger, which only a superuser may create: covered tables follow the change of their shape in its own transaction.
-- A definer function of the journal's owner, who is no superuser. Nothing that happens here may be in the way of the user's DDL.
create function journal.follow_ddl() returns event_trigger
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
as $follow_ddl$
declare
    changed oid[];
    covered regclass;
begin
    if tg_event = 'sql_drop' then
        changed := array(select d.objid from pg_event_trigger_dropped_objects() d where d.object_type = 'table column');
    else
        changed := array(select d.objid from pg_event_trigger_ddl_commands() d where d.classid = 'pg_class'::regclass);
    end if;
    for covered in select c.relation from journal.covered_table c where c.relation = any (changed) loop
        begin
            perform journal.follow_shape(covered);
        exception
            when others then
                raise warning 'journal: % is recorded as text until it is covered again: %', covered, sqlerrm using hint = format('run: journal cover %s', covered);
        end;
    end loop;
end
$follow_ddl$;

comment on function journal.follow_ddl() is 'For event triggers on ddl_command_end and sql_drop: covered tables follow changes of their shape at once. Optional.';


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
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $visible_columns$
declare
    auditor constant boolean := journal.is_auditor(role_name);
    open    constant boolean := exists (select from pg_class c where c.oid = segment.relation and not c.relrowsecurity);
    stored  int2[];
begin
    stored := case segment.kind when 'record' then array(select g from generate_series(1, 1600) as g)::int2[]
                                else array(select u.attnum from unnest(segment.attnums, segment.image_types) as u (attnum, image) where u.image is not null) end;
    if auditor then
        return stored;
    elsif not open then
        return '{}';
    end if;
    return array(select v from unnest(stored) as v where has_column_privilege(role_name, segment.relation, v, 'select'));
end
$visible_columns$;

comment on function journal.visible_columns(journal.segment, name) is 'Attnums of the stored columns whose images a role may see now; for whole rows of any column.';

-- sql/journal/functions/may_see.sql
-- What visible_columns decides about images, for values that a record keeps elsewhere: columns by number, null for all that the
-- table has now.
create function journal.may_see(relation oid, attnums int2[], role_name name) returns boolean
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $may_see$
#variable_conflict use_variable
begin
    return journal.is_auditor(role_name)
        or exists (select from pg_class c where c.oid = relation and not c.relrowsecurity)
           and (select bool_and(coalesce(has_column_privilege(role_name, relation, a.attnum, 'select'), false))
                  from unnest(coalesce(attnums, array(select p.attnum from pg_attribute p where p.attrelid = relation and p.attnum > 0 and not p.attisdropped))) as a (attnum)) is true;
end
$may_see$;

comment on function journal.may_see(oid, int2[], name) is 'Whether a role may see values of the given columns (null: of all) of a table now. Private.';

-- sql/journal/functions/without_values.sql
-- A rollback's report without the values of its rows: for whoever did not roll back, and for messages, which end in logs.
create function journal.without_values(report jsonb) returns jsonb
language sql immutable
begin atomic
    select report || pg_catalog.jsonb_build_object('conflicts', (
        select coalesce(pg_catalog.jsonb_agg(c.conflict || '{"key": null, "base": null, "ours": null, "theirs": null}'::jsonb || pg_catalog.jsonb_build_object('also',
                   (select coalesce(pg_catalog.jsonb_agg(a.listed || '{"base": null, "ours": null, "theirs": null}'::jsonb order by a.n), '[]')
                      from pg_catalog.jsonb_array_elements(c.conflict -> 'also') with ordinality as a (listed, n))) order by c.n), '[]')
          from pg_catalog.jsonb_array_elements(report -> 'conflicts') with ordinality as c (conflict, n)));
end;

comment on function journal.without_values(jsonb) is 'A report in whose conflicts key, base, ours and theirs are null. Private.';

-- sql/journal/functions/image_texts.sql
-- One side of a segment as an array of texts, in the order of the given columns. Output functions, not casts: a cast of
-- bool prints true for t, and one of char drops its padding.
create function journal.image_texts(side text, attnums int2[]) returns text
language sql immutable
begin atomic
    select pg_catalog.format('array[%s]::text[]', pg_catalog.string_agg(
               pg_catalog.format('case when %1$s%2$s is not null then pg_catalog.format(''%%s'', %1$s%2$s) end', side, a.attnum), ', ' order by a.n))
      from unnest(attnums) with ordinality as a (attnum, n);
end;

comment on function journal.image_texts(text, int2[]) is 'SQL text of one side''s images as an array of texts; side: o before, n after.';

-- sql/journal/functions/record_query.sql
-- As image_query, for whole rows: each brings its own columns and names. $1 is not used, $2 names the key, $3 may be seen.
create function journal.record_query(segment journal.segment, condition text) returns text
language sql stable
begin atomic
    select pg_catalog.format($query$
        select i.statement_id,
               (select jsonb_object_agg(c.name, c.v) from unnest(i.names, coalesce(i.n, i.o), i.attnums) as c (name, v, attnum)
                 where c.name = any ($2) and c.attnum = any ($3)),
               (select coalesce(jsonb_object_agg(c.name, c.v), '{}') from unnest(i.names, i.o, i.attnums) as c (name, v, attnum)
                 where i.o is not null and c.attnum = any ($3) having i.o is not null),
               (select coalesce(jsonb_object_agg(c.name, c.v), '{}') from unnest(i.names, i.n, i.attnums) as c (name, v, attnum)
                 where i.n is not null and c.attnum = any ($3) having i.n is not null),
               (select array_agg(c.name) from unnest(i.names, i.o, i.n, i.attnums) as c (name, o, n, attnum)
                 where c.attnum = any ($3) and c.o is distinct from c.n having i.o is not null and i.n is not null),
               null::text[]
          from journal.segment_%s i
         where $1 is not null and %s$query$, segment.segment_id, condition);
end;

comment on function journal.record_query(journal.segment, text) is 'SQL text that reads a segment of whole rows; see journal.image_query.';

-- sql/journal/functions/image_query.sql
-- The query that shows the images of a segment to somebody who may see the given columns. Its parameters: $1 their
-- names, $2 the names of those that are part of the key, $3 the columns; `condition` may use $4 and later ones.
create function journal.image_query(segment journal.segment, visible int2[], condition text) returns text
language sql stable
begin atomic
    select case segment.kind when 'record' then journal.record_query(segment, condition) else pg_catalog.format($query$
        select i.statement_id,
               case when has then jsonb_object($2, %1$s) when had then jsonb_object($2, %2$s) end,
               case when had then jsonb_object($1, o) - e end,
               case when has then jsonb_object($1, n) - e end,
               case when had and has then array(select c.name from unnest($1, o, n) as c (name, o, n) where c.o is distinct from c.n) end,
               nullif(e, '{}')
          from (select statement_id, %3$s as had, %4$s as has, %5$s as o, %6$s as n,
                       case when elided is null then '{}' else array(select c.name from unnest($1, $3) as c (name, attnum) where c.attnum = any (elided)) end as e
                  from journal.segment_%7$s
                 where %8$s
                offset 0) i$query$,
        k.after, k.before,
        case when segment.key = '{}' then 'coalesce(had, false)' else 'o' || segment.key[1] || ' is not null' end,
        case when segment.key = '{}' then 'coalesce(has, false)' else 'n' || segment.key[1] || ' is not null' end,
        journal.image_texts('o', visible), journal.image_texts('n', visible), segment.segment_id, condition) end
      from (select pg_catalog.format('array[%s]::text[]', pg_catalog.string_agg('n[' || v.n || ']', ', ' order by v.n)) as after,
                   pg_catalog.format('array[%s]::text[]', pg_catalog.string_agg('o[' || v.n || ']', ', ' order by v.n)) as before
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

-- sql/journal/functions/key_names.sql
-- Names of the key columns of a segment; whole rows go by the typed segment that came before.
create function journal.key_names(segment journal.segment) returns text[]
language sql stable
begin atomic
    select journal.column_names(k, k.key)
      from journal.segment k
     where k.relation = segment.relation and k.kind = 'typed' and k.shape <= segment.shape
     order by k.shape desc
     limit 1;
end;

comment on function journal.key_names(journal.segment) is 'Names of the key columns of a segment.';

-- sql/journal/functions/images.sql
-- The images of statements of one segment, as far as the caller may see them. Definer, because segments are private; settings
-- pinned, so that everybody reads the same text.
create function journal.images(segment text, statement_ids bigint[]) returns table (
    statement_id bigint, key jsonb, before jsonb, after jsonb, changed_columns text[], elided_columns text[]
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
    if shape.dropped_at is not null then
        return;
    end if;
    visible := journal.visible_columns(shape, journal.caller());
    return query execute
        journal.image_query(shape, visible, 'statement_id = any ($4)')
        using journal.column_names(shape, visible),
              case shape.kind when 'record' then journal.key_names(shape)
                              else journal.column_names(shape, array(select v from unnest(visible) v where v = any (shape.key))) end,
              visible, images.statement_ids;
end
$images$;

comment on function journal.images(text, bigint[]) is 'Images of statements of one segment, as far as the caller may see them. Read journal.changes.';

-- sql/journal/views/statements.sql
-- The ledger, attributed: a statement belongs to the last binding before it in its transaction. Two branches, because a
-- filter on a session must start from the session's bindings, and one on time or transaction from the statements.
create view journal.statements as
select s.statement_id,
       b.session_id,
       b.step_id,
       s.transaction_id,
       g.relation,
       g.table_name,
       journal.operation_name(s.operation) as operation,
       s.rows,
       s.executed_at,
       s.db_user::name as db_user,
       coalesce(nullif(s.db_role, 'none'), s.db_user)::name as db_role,
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
select s.statement_id,
       null,
       null,
       s.transaction_id,
       g.relation,
       g.table_name,
       journal.operation_name(s.operation),
       s.rows,
       s.executed_at,
       s.db_user::name,
       coalesce(nullif(s.db_role, 'none'), s.db_user)::name,
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
comment on column journal.statements.statement_id is 'Id of the statement: between transactions that change the same row, in the order of the changes.';
comment on column journal.statements.session_id is 'Agent session that the statement belongs to; null: unbound.';
comment on column journal.statements.step_id is 'Step of that session; null: outside steps.';
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
 cross join lateral journal.images(s.segment, array[s.statement_id]) i;

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
-- The changes of one session in the order of their statements. Segment by segment: the view reads statement by statement,
-- which costs more than the images where statements are small.
create function journal.session_changes(session_id uuid) returns setof journal.changes
language sql stable
begin atomic
    select s.session_id, s.step_id, s.statement_id, s.transaction_id, s.executed_at, s.db_user, s.db_role, s.relation, s.table_name,
           s.operation, i.key, i.before, i.after, i.changed_columns, i.elided_columns
      from (select w.segment, array_agg(w.statement_id) as statement_ids
              from journal.statements w
             where w.session_id = session_changes.session_id
             group by w.segment) written
     cross join lateral journal.images(written.segment, written.statement_ids) i
      join journal.statements s on s.session_id = session_changes.session_id and s.statement_id = i.statement_id
     order by s.statement_id;
end;

comment on function journal.session_changes(uuid) is 'Rows of journal.changes of one session, in the order of their statements; faster than the view.';

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
    for shape in select s.* from journal.segment s where s.relation = row_images.relation and s.kind = 'typed' and s.key <> '{}' and s.dropped_at is null order by s.shape loop
        visible := journal.visible_columns(shape, journal.caller());
        if shape.key <@ visible and key ?& journal.column_names(shape, shape.key) then
            return query execute
                journal.image_query(shape, visible, format('(%s or %s)', journal.key_condition(shape, 'o', key), journal.key_condition(shape, 'n', key)))
                using journal.column_names(shape, visible), journal.column_names(shape, shape.key), visible;
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
       journal.attribute_names(o.relation, g.key) as key_columns,
       journal.attribute_names(o.relation, o.excluded) as excluded_columns,
       journal.attribute_names(o.relation, o.counters) as counter_columns,
       journal.attribute_names(o.relation, o.maintained) as maintained_columns,
       o.covered_at,
       (state ->> 'gap_since')::timestamptz as gap_since,
       (select min(s.from_at) from journal.segment s where s.relation = coalesce(pg_catalog.pg_partition_root(c.oid), c.oid)) as oldest_image_at
  from pg_catalog.pg_class c
  join pg_catalog.pg_namespace n on n.oid = c.relnamespace
  left join journal.covered_table o on o.relation = coalesce(pg_catalog.pg_partition_root(c.oid), c.oid)
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
comment on column journal.coverage.reason is 'Why the status is neither covered nor uncovered; of a covered table, what cannot be known since it was restored.';
comment on column journal.coverage.fix is 'Command that brings the table to covered; null where there is nothing to do, or nothing that can be done.';
comment on column journal.coverage.writers is 'Whose changes are recorded: all, or agents (transactions bound to a session).';
comment on column journal.coverage.undo is 'Whether its changes can be rolled back; false: recorded only.';
comment on column journal.coverage.truncate is 'What happens to TRUNCATE: capture or refuse.';
comment on column journal.coverage.key_columns is 'Columns of the primary key.';
comment on column journal.coverage.excluded_columns is 'Columns that are never recorded.';
comment on column journal.coverage.counter_columns is 'Columns that many add to: undone by their difference.';
comment on column journal.coverage.maintained_columns is 'Columns that triggers or libraries keep: left out of conflict checks.';
comment on column journal.coverage.covered_at is 'When the triggers of today were created.';
comment on column journal.coverage.gap_since is 'Since when changes may be missing at the earliest; null: no gap.';
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
create function journal.is_droppable(segment journal.segment, keep interval default null) returns boolean
language sql stable security definer
set search_path = pg_catalog, pg_temp
begin atomic
    select segment.until_at is not null
       and segment.dropped_at is null
       and segment.until_at < pg_catalog.now() - coalesce(keep, journal.retention())
       and not exists (
           select
             from journal.session s
             join journal.binding b on b.session_id = s.session_id
             join journal.statement t on t.transaction_id = b.transaction_id and t.cluster = b.cluster
            where s.status = 'open' and t.segment_id = segment.segment_id
              and (select max(l.bound_at) from journal.binding l where l.session_id = s.session_id) > pg_catalog.now() - interval '7 days');
end;

comment on function journal.is_droppable(journal.segment, interval) is 'Whether retention may drop the segment.';

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

-- sql/journal/functions/rotate_segment.sql
-- Begins a new segment of the same shape, so that the one before it can be dropped whole one day. The capture functions are
-- replaced where they stand: no trigger changes, no writer waits, and one in flight ends in the old segment.
create function journal.rotate_segment(relation regclass) returns integer
language plpgsql volatile
set search_path = pg_catalog, pg_temp
set quote_all_identifiers = off
as $rotate_segment$
declare
    options journal.covered_table;
    segment journal.segment;
    before  integer;
begin
    select * into strict options from journal.covered_table c where c.relation = rotate_segment.relation for update;
    select * into strict segment from journal.segment s where s.segment_id = options.segment_id;
    before := segment.segment_id;
    update journal.segment s set until_at = clock_timestamp() where s.segment_id = before;
    segment := journal.add_segment(segment);
    update journal.covered_table c set segment_id = segment.segment_id where c.relation = rotate_segment.relation;
    update journal.capture c set segment_id = segment.segment_id where c.segment_id = before;
    perform journal.write_capture(c, segment, options) from journal.capture c where c.segment_id = segment.segment_id;
    return segment.segment_id;
end
$rotate_segment$;

comment on function journal.rotate_segment(regclass) is 'Begins a new segment of a covered table; returns its id. Private: call journal.prune.';

-- sql/journal/functions/shortest_retention.sql
-- An operator may keep images for a shorter time, but may not wipe them out: that is for the journal's owner.
create function journal.shortest_retention() returns interval
language sql immutable parallel safe
begin atomic
    select interval '1 hour';
end;

comment on function journal.shortest_retention() is 'The shortest time that anybody but the journal''s owner may let journal.prune keep images.';

-- sql/journal/functions/prune.sql
-- Retention. Segments that have been written to for a day give way to new ones; whole segments are dropped that nothing young
-- enough, and no session that is open, needs. Nothing is waited for: what is being covered, or read, has its turn next time.
create function journal.prune(keep interval default null, rotate_after interval default '1 day')
returns table (segment text, table_name text, action text, bytes bigint)
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
as $prune$
#variable_conflict use_column
declare
    found journal.segment;
    used  boolean;
begin
    if keep < journal.shortest_retention()
       and not pg_has_role(journal.caller(), (select n.nspowner from pg_namespace n where n.nspname = 'journal'), 'usage') then
        raise exception using
            errcode = '42501', message = format('images may be kept for %s at the shortest', journal.shortest_retention()),
            hint = 'only the owner of the journal may drop younger ones';
    end if;
    for found in
        select s.* from journal.segment s join journal.covered_table c on c.segment_id = s.segment_id
         where s.from_at < clock_timestamp() - prune.rotate_after order by s.segment_id
           for update of c skip locked
    loop
        execute format('select exists (select from journal.segment_%s)', found.segment_id) into used;
        continue when not used;
        segment := 'segment_' || journal.rotate_segment(found.relation);
        table_name := found.table_name; action := 'begun'; bytes := 0;
        return next;
    end loop;
    for found in select s.* from journal.segment s where journal.is_droppable(s, prune.keep) order by s.segment_id loop
        segment := 'segment_' || found.segment_id;
        begin
            execute format('lock table journal.segment_%s in access exclusive mode nowait', found.segment_id);
        exception
            when lock_not_available then continue;
        end;
        table_name := found.table_name; action := 'dropped';
        bytes := pg_total_relation_size(to_regclass('journal.segment_' || found.segment_id));
        execute format('drop table journal.segment_%s', found.segment_id);
        update journal.segment s set dropped_at = clock_timestamp() where s.segment_id = found.segment_id;
        perform journal.forget_left(found.segment_id);
        return next;
    end loop;
end
$prune$;

comment on function journal.prune(interval, interval) is
    'Begins new segments where the present ones are old, and drops those that retention allows. keep: how long images are kept after their segment was closed (default journal.retention()). At least journal.shortest_retention(), unless the journal''s owner calls. Returns what was begun and dropped.';


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

-- sql/journal/tables/left_step.sql
-- Steps of which a rollback took nothing back, because every row that they changed was left as it is: they keep their key, their receipt and
-- their messages, as if that rollback had not been.
create table journal.left_step (
    rollback_id uuid not null,
    step_id     uuid not null,
    primary key (rollback_id, step_id)
);

comment on table journal.left_step is 'Steps that partial rollbacks left whole. Private.';
comment on column journal.left_step.step_id is 'The step; or the session, for what it did outside of steps. Of a rollback that is all.';

-- sql/journal/tables/step.sql
-- One row per try of a step, insert only: written when the try begins, or after a failed try was rolled back. A try that has
-- begun is completed by its receipt; one that was committed without a receipt has an unknown outcome, and keeps its key. No CHECK constraints: see journal.statement.
create table journal.step (
    step_id          uuid primary key,
    session_id       uuid not null,
    tool             text not null,
    kind             text,
    tenant           text not null,
    key              text,
    attempt          integer not null,
    status           text not null,
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
create index step_session on journal.step (session_id, started_at, step_id);

comment on table journal.step is 'Tries of steps, and the keys they hold. Private; read journal.steps.';
comment on column journal.step.status is 'begun, replayed, failed, or intended: an external effect, whose outcome is in journal.external.';
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

-- sql/journal/tables/external.sql
-- One row per intent of an external effect, committed before anything is sent; its row is locked by whoever is at it. What became
-- of it is written in the commit of the step, or afterwards. The step row holds the key.
create table journal.external (
    step_id        uuid primary key references journal.step,
    provider_key   text not null,
    runner         uuid not null,
    status         text not null default 'intended' check (status in ('intended', 'unknown', 'completed', 'failed')),
    result         jsonb,
    error          jsonb,
    transaction_id xid8,
    settled_at     timestamptz,
    settled_by     text,
    note           text
);

create index external_provider_key on journal.external (provider_key);
create index external_unsettled on journal.external (step_id) where status in ('intended', 'unknown');

comment on table journal.external is 'Intents of external effects and what became of them. Private; read journal.externals.';
comment on column journal.external.runner is 'The call that may run it: nobody else does, whoever finds it first.';
comment on column journal.external.transaction_id is 'Transaction that completed it.';

-- sql/journal/tables/confirmation.sql
-- Consumers that say they did what a step asked of them. Insert only.
create table journal.confirmation (
    receipt_id   uuid not null references journal.receipt,
    consumer     text not null check (consumer <> ''),
    confirmed_at timestamptz not null default clock_timestamp(),
    db_user      text not null default session_user,
    primary key (receipt_id, consumer)
);

comment on table journal.confirmation is 'Which consumers confirmed which receipts. Private; read journal.receipts.';

-- sql/journal/tables/claim.sql
-- What agents say they did, and what they point to: a receipt, or a step of which they have none. Insert only.
create table journal.claim (
    claim_id   uuid primary key,
    session_id uuid not null references journal.session,
    receipt_id uuid,
    step_id    uuid,
    claim      text not null,
    claimed_at timestamptz not null default clock_timestamp()
);

create index claim_session on journal.claim (session_id);

comment on table journal.claim is 'What agents assert. Private; read journal.claims.';

-- sql/journal/functions/keyed_digest.sql
-- A digest that only the journal can make, nested against length extension. Takes text: what a forger wrote is never cast.
-- In plpgsql, because that keeps its plan.
create function journal.keyed_digest(purpose text, content text, transaction_id xid8) returns text
language plpgsql stable
as $keyed_digest$
declare
    key bytea;
begin
    select s.secret into key from journal.secret s;
    return encode(sha256(key || sha256(key || convert_to(concat_ws('|', purpose, coalesce(content, ''), transaction_id::text), 'UTF8'))), 'hex');
end
$keyed_digest$;

comment on function journal.keyed_digest(text, text, xid8) is 'A keyed digest of content, good for one purpose and, where given, one transaction. Private.';

-- sql/journal/functions/bound_session.sql
-- Who the transaction is bound to: its last binding. A transaction-local setting says where that row lies, and is believed only if a
-- binding of this transaction is there, which a savepoint has not taken back, and none came after it. So it can be neither forged
-- nor put back later. Capture and publish ask for every statement: a row of one's own that is found by its place is no row that
-- a SERIALIZABLE transaction locks against others. Only after a later binding was rolled back the index has to tell. Nothing here has a
-- backslash: what that means is a setting of the caller's.
create function journal.bound_session(out session_id uuid, out step_id uuid) returns setof record
language plpgsql stable security definer rows 1
set search_path = pg_catalog, pg_temp
as $bound_session$
#variable_conflict use_column
declare
    place   constant text := current_setting('journal.binding', true);
    binding journal.binding;
begin
    if place is null or place !~ '^[(][0-9]{1,9},[0-9]{1,4}[)]$' then
        return;
    end if;
    select b.* into binding from journal.binding b
     where b.ctid = place::tid and b.transaction_id = pg_current_xact_id_if_assigned() and b.cluster = journal.cluster_id();
    if binding.session_id is null then
        return;
    elsif binding.binding_id <> currval('journal.binding_id') and exists (
              select from journal.binding l
               where l.transaction_id = binding.transaction_id and l.cluster = binding.cluster and l.statement_id > binding.statement_id) then
        return;
    end if;
    bound_session.session_id := binding.session_id;
    bound_session.step_id := binding.step_id;
    return next;
end
$bound_session$;

comment on function journal.bound_session() is 'Session and step that the transaction is bound to; no row when it is unbound.';

-- sql/journal/functions/set_binding.sql
-- Writes where a binding begins among the statements of its transaction, and notes where that row lies. A null session unbinds.
create function journal.set_binding(session_id uuid, step_id uuid) returns boolean
language plpgsql volatile
as $set_binding$
declare
    bound   constant text := nullif(current_setting('journal.session', true), '');
    place   tid;
    present text;
begin
    if bound is not null and bound <> set_binding.session_id::text and not journal.is_related(bound::uuid, set_binding.session_id) then
        raise exception using
            errcode = 'JR006', message = format('the transaction belongs to session %s already', bound),
            hint = 'one transaction belongs to one session and its child sessions; commit before another session works';
    end if;
    insert into journal.binding (statement_id, transaction_id, cluster, session_id, step_id, bound_at)
    values (nextval('journal.statement_id'), pg_current_xact_id(), journal.cluster_id(), set_binding.session_id, set_binding.step_id,
            clock_timestamp())
    returning ctid into place;
    if set_binding.session_id is null then
        present := set_config('journal.binding', '', true);
    else
        present := set_config('journal.session', set_binding.session_id::text, true);
        present := set_config('journal.binding', place::text, true);
    end if;
    return true;
end
$set_binding$;

comment on function journal.set_binding(uuid, uuid) is 'Binds the transaction without asking whether the session may work. True. Raises AlreadyBound. Private: call journal.bind.';

-- sql/journal/functions/notes.sql
-- A SERIALIZABLE transaction notes what its steps do while they do it, in a transaction-local setting that only the journal can
-- write. Looking it up in ledger and outbox at the end would lock index pages that every other step writes to, and fail steps
-- that have nothing to do with each other. Null where the setting is not the last that was written: a savepoint was rolled back,
-- or somebody tampered with it; then ledger and outbox are asked.
create function journal.notes() returns jsonb
language plpgsql stable
as $notes$
declare
    written constant text := coalesce(current_setting('journal.notes', true), '');
    notes   constant text := substr(written, 65);
begin
    if written = '' or left(written, 64) is distinct from journal.keyed_digest('notes', notes, pg_current_xact_id_if_assigned()) then
        return null;
    elsif (notes::jsonb ->> 'note_id')::bigint <> currval('journal.note_id') then
        return null;
    end if;
    return notes;
end
$notes$;

comment on function journal.notes() is 'What the open steps of this SERIALIZABLE transaction did so far: {step: {"rows": {segment: {operation: rows}}, "messages": [id]}}; null where it is not known. Private.';

-- sql/journal/functions/write_notes.sql
-- Writes what is noted of the open steps of this transaction, so that nobody else can.
create function journal.write_notes(notes jsonb) returns boolean
language plpgsql volatile
as $write_notes$
declare
    written constant text := notes || jsonb_build_object('note_id', nextval('journal.note_id'));
begin
    return set_config('journal.notes', journal.keyed_digest('notes', written, pg_current_xact_id()) || written, true) is not null;
end
$write_notes$;

comment on function journal.write_notes(jsonb) is 'Replaces the notes of this transaction. True. Private.';

-- sql/journal/functions/note.sql
-- Notes rows that the bound step changed, or a message that it published. Of SERIALIZABLE transactions only.
create function journal.note(segment_id integer default null, operation "char" default null, rows bigint default 0, message_id uuid default null)
returns void
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
as $note$
declare
    step     constant text := (select b.step_id from journal.bound_session() b);
    notes    jsonb := journal.notes();
    path     constant text[] := array[step, 'rows', segment_id::text, operation::text];
begin
    if step is null or not coalesce(notes ? step, false) then
        return;
    elsif message_id is not null then
        notes := jsonb_set(notes, array[step, 'messages'], coalesce(notes #> array[step, 'messages'], '[]') || to_jsonb(message_id));
    else
        notes := notes || jsonb_build_object(step, coalesce(notes -> step, '{}') || jsonb_build_object('rows',
            coalesce(notes #> path[:2], '{}') || jsonb_build_object(segment_id::text,
                coalesce(notes #> path[:3], '{}') || jsonb_build_object(operation::text, coalesce((notes #>> path)::bigint, 0) + rows))));
    end if;
    perform journal.write_notes(notes);
end
$note$;

comment on function journal.note(integer, "char", bigint, uuid) is 'Notes what the bound step of a SERIALIZABLE transaction did. Private.';

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

-- sql/journal/functions/refuse_session.sql
-- Why a session may not be used: it is not there, not open, or another user's.
create function journal.refuse_session(session_id uuid, there journal.session) returns void
language plpgsql immutable
set search_path = pg_catalog, pg_temp
as $refuse_session$
begin
    if there.session_id is null then
        perform journal.raise_unknown_session(refuse_session.session_id);
    elsif there.status <> 'open' then
        raise exception using
            errcode = case there.status when 'stopped' then 'JR011' else 'JR010' end,
            message = format('session %s is %s%s', there.session_id, there.status, coalesce(': ' || nullif(there.status_reason, ''), '')),
            hint = 'open a new session';
    else
        raise exception using
            errcode = 'JR012', message = format('session %s was opened by another database user', there.session_id),
            hint = 'a session is used by the database user that opened it; open one of your own';
    end if;
end
$refuse_session$;

comment on function journal.refuse_session(uuid, journal.session) is 'Raises UnknownSession, SessionClosed, SessionStopped or NotSessionOwner. Private.';

-- sql/journal/functions/enter_session.sql
-- Whether a session may be bound now. Its stop marks are looked for in the statement that locks it, before the lock is asked for,
-- so overlapping steps cannot starve a rollback; the lock waits for a rollback, and fails where a snapshot is too old to see its
-- outcome.
create function journal.enter_session(session_id uuid) returns journal.session
language plpgsql volatile
as $enter_session$
declare
    entered journal.session;
begin
    select s.* into entered from journal.session s
     where s.session_id = enter_session.session_id
       and not exists (select from journal.stop p where p.session_id = s.session_id and p.lifted_at is null)
       and not exists (select from journal.stop p where p.agent = s.agent and p.lifted_at is null)
       for share of s;
    if entered.status = 'open' and entered.db_user = session_user then
        return entered;
    end if;
    perform journal.refuse_stopped(s.session_id, s.agent) from journal.session s where s.session_id = enter_session.session_id;
    perform journal.refuse_session(enter_session.session_id, entered);
    return null;
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

-- sql/journal/functions/resume_session.sql
-- Whether the caller may go on with a session, and what a client needs to know of it.
create function journal.resume_session(session_id uuid) returns jsonb
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
as $resume_session$
declare
    session journal.session := journal.enter_session(resume_session.session_id);
begin
    return jsonb_build_object('session_id', session.session_id, 'agent', session.agent, 'task', session.task,
                              'tenant', session.tenant, 'role', session.role);
end
$resume_session$;

comment on function journal.resume_session(uuid) is
    'An open session of the caller''s, as JSON: session_id, agent, task, tenant, role. Raises UnknownSession, SessionClosed, SessionStopped, NotSessionOwner.';

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
    if octet_length(coalesce(open_session.agent, '')) not between 1 and 512 then
        raise exception using
            errcode = 'JR008', message = 'a session needs the name of its agent, of 1 to 512 bytes', hint = 'such as billing-bot';
    elsif octet_length(open_session.tenant) > 512 then
        raise exception using errcode = 'JR008', message = 'the name of a tenant has at most 512 bytes', hint = 'pass its id; empty: none';
    elsif octet_length(open_session.run_id) not between 1 and 512 then
        raise exception using
            errcode = 'JR008', message = 'a run_id has 1 to 512 bytes', hint = 'it names one run, such as ticket-8123; null: none';
    end if;
    if open_session.parent is not null then
        above := journal.enter_session(open_session.parent);
        if open_session.tenant not in ('', above.tenant) then
            raise exception using
                errcode = 'JR008', message = 'a child session belongs to the tenant of its parent',
                hint = 'leave the tenant out, or open a session without a parent';
        end if;
    end if;
    perform outbox.release_at(open_session.hold, clock_timestamp()), journal.refuse_stopped(null, open_session.agent);
    if open_session.role is not null
       and not exists (select from pg_roles r where r.rolname = open_session.role and pg_has_role(session_user, r.oid, 'member')) then
        raise exception using
            errcode = 'JR008', message = format('%I may not act as the role %I', session_user, open_session.role),
            hint = format('grant %I to %I', open_session.role, session_user);
    end if;
    insert into journal.session
           (session_id, parent_session_id, agent, task, tenant, run_id, role, db_user, db_role, application_name, hold, details)
    values (opened, open_session.parent, open_session.agent, coalesce(open_session.task, ''),
            coalesce(nullif(open_session.tenant, ''), above.tenant, ''), open_session.run_id, open_session.role, session_user,
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
    'Opens an agent session and returns its id. run_id is unique per tenant and agent: where it names an open session, that one is returned. hold: close or a duration, the default of its messages; role: set in each step. Raises SessionClosed, SessionStopped, NotSessionOwner.';

-- sql/journal/functions/close_session.sql
-- Waits until the session's running transactions have ended. Closing what is not open any more changes nothing.
create function journal.close_session(session_id uuid, status text default 'closed', reason text default null) returns void
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
as $close_session$
declare
    owner name;
begin
    if coalesce(close_session.status, '') not in ('closed', 'failed') then
        raise exception using
            errcode = 'JR008', message = 'a session is closed as closed or failed', hint = 'journal.stop_session stops it';
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
    if octet_length(coalesce(stop_agent.agent, '')) not between 1 and 512 then
        raise exception using
            errcode = 'JR008', message = 'name the agent that is to stop, in 1 to 512 bytes', hint = 'journal.sessions has their names';
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
           and not exists (select from journal.left_step l
                            where l.rollback_id = r.rollback_id and l.step_id = coalesce(effective_rollback.step_id, effective_rollback.session_id))
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
    'The rollback that a session or step is taken back by, null where it is in effect. A rollback that was rolled back does not count, nor one that left the step as it is.';

-- sql/journal/functions/is_overtaken.sql
-- Whether a rollback no longer tells what is taken back: an earlier one of the same was itself rolled back after it, if only in part. What
-- that one had taken back, this one found done already; and it is in effect again.
create function journal.is_overtaken(reversal journal.reversal) returns boolean
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $is_overtaken$
begin
    return exists (
        select
          from journal.reversal e
          join journal.reversal x on x.session_id = e.rollback_id and x.reversal_id > reversal.reversal_id and x.rollback_id <> reversal.rollback_id
         where e.session_id = reversal.session_id and e.reversal_id < reversal.reversal_id
           and (e.step_id is null or reversal.step_id is null or e.step_id = reversal.step_id)
           and journal.session_reversed(e.rollback_id) <> 'no');
end
$is_overtaken$;

comment on function journal.is_overtaken(journal.reversal) is 'Whether an earlier rollback of the same was itself rolled back after it. Private.';

-- sql/journal/functions/session_reversed.sql
-- How much of a session is taken back by rollbacks that are themselves in effect. A rollback is a session too: of what one did that
-- was itself rolled back in part, the rest is in effect.
create function journal.session_reversed(session_id uuid) returns text
language plpgsql stable security definer
set search_path = pg_catalog, pg_temp
as $session_reversed$
declare
    taken_back journal.reversal;
    undone     text;
    answer     text := 'no';
begin
    for taken_back in select r.* from journal.reversal r where r.session_id = session_reversed.session_id loop
        undone := journal.session_reversed(taken_back.rollback_id);
        if undone = 'no' and taken_back.step_id is null and not taken_back.partly and not journal.is_overtaken(taken_back) then
            return 'fully';
        elsif undone <> 'fully' then
            answer := 'partly';
        end if;
    end loop;
    return answer;
end
$session_reversed$;

comment on function journal.session_reversed(uuid) is 'no, partly or fully.';

-- sql/journal/functions/is_settled.sql
-- Whether a rollback tells what is taken back: all that it took back still is, and no earlier one of the same came into question after it.
create function journal.is_settled(reversal journal.reversal) returns boolean
language sql stable
begin atomic
    select journal.session_reversed(reversal.rollback_id) = 'no' and not journal.is_overtaken(reversal);
end;

comment on function journal.is_settled(journal.reversal) is 'Whether a rollback is in effect whole and tells what is taken back. Private.';

-- sql/journal/functions/steps_in_effect.sql
-- How many keys and receipts sessions, or some of their steps, have in effect: what a rollback of them reverses, but for steps that it leaves whole.
create function journal.steps_in_effect(session_ids uuid[], step_ids uuid[], left_steps uuid[], out keys bigint, out receipts bigint)
language sql stable security definer
set search_path = pg_catalog, pg_temp
begin atomic
    select pg_catalog.count(*) filter (where s.holds_key), pg_catalog.count(*)
      from journal.step s
      join journal.receipt r on r.step_id = s.step_id
     where s.session_id = any (steps_in_effect.session_ids)
       and (steps_in_effect.step_ids is null or s.step_id = any (steps_in_effect.step_ids))
       and s.step_id <> all (steps_in_effect.left_steps)
       and journal.effective_rollback(s.session_id, s.step_id) is null;
end;

comment on function journal.steps_in_effect(uuid[], uuid[], uuid[]) is 'How many keys and receipts sessions, or some of their steps, have in effect. Private.';

-- sql/journal/functions/reverse_steps.sql
-- What a rollback took back: whole sessions, or single steps of them, but for steps that it left whole. Rolling back the rollback makes them valid again.
create function journal.reverse_steps(session_ids uuid[], step_ids uuid[], rollback_id uuid, partly boolean, left_steps uuid[])
returns table (keys bigint, receipts bigint)
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $reverse_steps$
begin
    select e.keys, e.receipts into keys, receipts from journal.steps_in_effect(reverse_steps.session_ids, reverse_steps.step_ids, reverse_steps.left_steps) e;
    insert into journal.left_step (rollback_id, step_id) select reverse_steps.rollback_id, l from unnest(reverse_steps.left_steps) l;
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

comment on function journal.reverse_steps(uuid[], uuid[], uuid, boolean, uuid[]) is
    'Marks sessions, or with step_ids single steps, as taken back by a rollback. Returns how many keys and receipts were in effect before. Private.';

-- sql/journal/functions/refuse_step.sql
-- Why a step that check_step does not let pass is called in a wrong way.
create function journal.refuse_step(tool text, key text, attempt integer, kind text) returns boolean
language plpgsql immutable
as $refuse_step$
begin
    if tool is null or octet_length(tool) not between 1 and 512 then
        raise exception using
            errcode = 'JR013', message = 'a step needs the name of its tool, of 1 to 512 bytes', hint = 'such as refund';
    elsif octet_length(key) not between 1 and 512 then
        raise exception using
            errcode = 'JR014', message = format('the key of a step has 1 to 512 bytes, not %s', octet_length(key)),
            hint = 'name what the effect is about, such as order-42', detail = jsonb_build_object('tool', tool);
    elsif attempt is null or attempt < 1 then
        raise exception using
            errcode = 'JR014', message = 'attempts are counted from 1',
            hint = 'leave it out, or pass next_attempt of the error', detail = jsonb_build_object('tool', tool, 'key', key);
    end if;
    raise exception using
        errcode = 'JR042', message = format('there is no kind of tool %L', kind),
        hint = 'read, idempotent, reversible, compensable or irreversible';
end
$refuse_step$;

comment on function journal.refuse_step(text, text, integer, text) is 'Raises StepError, InvalidKey or UnknownKind. Private: journal.check_step asks.';

-- sql/journal/functions/check_step.sql
-- Refuses a step that is called in a wrong way, before anything runs. One expression, which is inlined: each step asks.
create function journal.check_step(tool text, key text, attempt integer, kind text) returns boolean
language sql immutable
begin atomic
    select case
        when octet_length(tool) between 1 and 512 and coalesce(octet_length(key), 1) between 1 and 512 and attempt >= 1
             and coalesce(kind, 'read') in ('read', 'idempotent', 'reversible', 'compensable', 'irreversible') then true
        else journal.refuse_step(tool, key, attempt, kind) end;
end;

comment on function journal.check_step(text, text, integer, text) is 'True, or raises StepError, InvalidKey or UnknownKind. Private.';

-- sql/journal/functions/lock_timeout_of.sql
-- A wait as lock_timeout takes it: 0 would mean for ever, and more than 24 days is more than it takes.
create function journal.lock_timeout_of(wait interval) returns text
language sql immutable
begin atomic
    select least(greatest(1, ceil(extract(epoch from wait) * 1000)), 2147483647)::bigint::text;
end;

comment on function journal.lock_timeout_of(interval) is 'The wait in milliseconds, as the setting lock_timeout takes it. Private.';

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
create function journal.arguments_differ(step journal.step, arguments jsonb) returns boolean
language sql stable
begin atomic
    select case when (step).arguments_digest is null then (step).arguments is distinct from arguments
                else (step).arguments_digest is distinct from journal.arguments_digest(arguments) end;
end;

comment on function journal.arguments_differ(journal.step, jsonb) is 'Whether a try was called with other arguments than these.';

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

-- sql/journal/functions/raise_in_progress.sql
-- One wording for a key whose step is running elsewhere.
create function journal.raise_in_progress(tool text, key text) returns void
language plpgsql immutable
set search_path = pg_catalog, pg_temp
as $raise_in_progress$
begin
    raise exception using
        errcode = 'JR016', message = 'another caller is running the step of this key',
        hint = 'call again with the same key: that returns its result, or runs the step if the other call failed',
        detail = jsonb_build_object('tool', tool, 'key', key, 'retry_after', 1);
end
$raise_in_progress$;

comment on function journal.raise_in_progress(text, text) is 'Raises StepInProgress. Private.';

-- sql/journal/functions/raise_held.sql
-- One wording for a step that was kept waiting by what holds its session, and not by its key.
create function journal.raise_held(tool text, key text) returns void
language plpgsql immutable
set search_path = pg_catalog, pg_temp
as $raise_held$
begin
    raise exception using
        errcode = 'JR016', message = 'the session of this step is being rolled back in part, or closed',
        hint = 'call again later: no step of the session begins until that has ended',
        detail = jsonb_build_object('tool', tool, 'key', key, 'retry_after', 1);
end
$raise_held$;

comment on function journal.raise_held(text, text) is 'Raises StepInProgress where the session is held. Private.';

-- sql/journal/functions/session_is_held.sql
-- Whether somebody holds a session so that no step of it can begin: a rollback of some of its steps, or who closes it.
create function journal.session_is_held(session_id uuid) returns boolean
language plpgsql volatile
as $session_is_held$
begin
    perform from journal.session s where s.session_id = session_is_held.session_id for share of s skip locked;
    return not found and exists (select from journal.session s where s.session_id = session_is_held.session_id);
end
$session_is_held$;

comment on function journal.session_is_held(uuid) is 'Whether no step of a session can begin, because somebody holds it. Private.';

-- sql/journal/functions/enter_session_of_step.sql
-- As enter_session, for a step that waits only so long for what holds its session.
create function journal.enter_session_of_step(session_id uuid, tool text, key text, wait interval) returns journal.session
language plpgsql volatile
as $enter_session_of_step$
declare
    entered  journal.session;
    patience text := current_setting('lock_timeout');
begin
    begin
        perform set_config('lock_timeout', journal.lock_timeout_of(wait), true);
        entered := journal.enter_session(session_id);
    exception
        when lock_not_available then
            perform journal.raise_held(tool, key);
    end;
    patience := set_config('lock_timeout', patience, true);
    return entered;
end
$enter_session_of_step$;

comment on function journal.enter_session_of_step(uuid, text, text, interval) is
    'As journal.enter_session; raises StepInProgress where the session is held for longer than wait. Private.';

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
    if last.status = 'failed' or exists (select from journal.external e where e.step_id = last.step_id and e.status = 'failed') or journal.effective_rollback(last.session_id, last.step_id) is not null then
        return last.attempt + 1;
    end if;
    return last.attempt;
end
$next_attempt$;

comment on function journal.next_attempt(journal.step) is 'The attempt of a key that is in effect, or may be made next. Private.';

-- sql/journal/functions/check_attempt.sql
-- A later attempt is made only after the one before it was taken back or failed for good: counting up must not run an effect twice.
create function journal.check_attempt(tenant text, tool text, key text, attempt integer) returns boolean
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $check_attempt$
declare
    previous journal.step;
begin
    select s.* into previous from journal.step s
     where s.tenant = check_attempt.tenant and s.tool = check_attempt.tool and s.key = check_attempt.key
       and s.attempt = check_attempt.attempt - 1 and s.holds_key;
    if previous.status = 'failed' or exists (select from journal.external e where e.step_id = previous.step_id and e.status = 'failed') or journal.effective_rollback(previous.session_id, previous.step_id) is not null then
        return true;
    end if;
    raise exception using
        errcode = 'JR014', message = format('attempt %s of this key is not due', check_attempt.attempt),
        hint = case when previous.step_id is null then format('attempt %s was never made', check_attempt.attempt - 1)
                    else format('attempt %s is in effect; call with that to get its result', check_attempt.attempt - 1) end,
        detail = jsonb_build_object('tool', tool, 'key', key);
end
$check_attempt$;

comment on function journal.check_attempt(text, text, text, integer) is 'True, or raises InvalidKey where an attempt is not due. Private.';

-- sql/journal/functions/raise_arguments_differ.sql
-- One wording for a key that was used for something else.
create function journal.raise_arguments_differ(holder journal.step, arguments jsonb) returns void
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $raise_arguments_differ$
begin
    raise exception using
        errcode = 'JR015', message = 'this key was used with other arguments',
        hint = 'a key stands for one effect: use another key for another effect',
        detail = jsonb_build_object('tool', holder.tool, 'key', holder.key,
                                    'differences', journal.differing_arguments(holder.arguments, raise_arguments_differ.arguments));
end
$raise_arguments_differ$;

comment on function journal.raise_arguments_differ(journal.step, jsonb) is 'Raises ArgumentsDiffer. Private.';

-- sql/journal/functions/free_expired_key.sql
-- Frees the key of a step for another effect, where it has been kept long enough. Never while nobody knows whether its external
-- effect took place, and not while a later attempt of the key is kept: whoever asks for the first is still to be told of that one.
create function journal.free_expired_key(held journal.step) returns boolean
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $free_expired_key$
begin
    update journal.step s set holds_key = false
     where s.step_id = held.step_id and s.key_expires_at <= clock_timestamp()
       and not exists (select from journal.external e where e.step_id = held.step_id and e.status in ('intended', 'unknown'))
       and not exists (
           select from journal.step later
            where later.tenant = held.tenant and later.tool = held.tool and later.key = held.key and later.attempt > held.attempt
              and later.holds_key and later.key_expires_at > clock_timestamp());
    return found;
end
$free_expired_key$;

comment on function journal.free_expired_key(journal.step) is 'Whether the key of a step had expired, and is free now. Private.';

-- sql/journal/functions/step_to_replay.sql
-- What a retry finds under its key: the completed step that it replays, with its receipt; or how the step of the key failed for
-- good, which is told and not raised, because the server's log keeps the detail of an error and a result is the user's. Null where
-- the key has expired and is free now, or was freed meanwhile. Everything else is an error that says how the step of this key ended.
create function journal.step_to_replay(tenant text, tool text, key text, attempt integer, arguments jsonb) returns jsonb
language plpgsql volatile
as $step_to_replay$
declare
    there       record;
    holder      journal.step;
    rollback_id uuid;
    names       jsonb;
begin
    select s as step, e.status as effect, e.result as effect_result, r.document, r.digest,
           exists (select from journal.reversal v where v.session_id = s.session_id) as was_rolled_back
      into there
      from journal.step s
      left join journal.external e on e.step_id = s.step_id and s.status = 'intended'
      left join journal.receipt r on r.step_id = s.step_id
     where s.tenant = step_to_replay.tenant and s.tool = step_to_replay.tool and s.key = step_to_replay.key
       and s.attempt = step_to_replay.attempt and s.holds_key;
    if not found then
        return null;
    end if;
    holder := there.step;
    if holder.key_expires_at <= clock_timestamp() and journal.free_expired_key(holder) then
        return null;
    elsif journal.arguments_differ(holder, step_to_replay.arguments) then
        perform journal.raise_arguments_differ(holder, step_to_replay.arguments);
    end if;
    names := jsonb_build_object('tool', tool, 'key', key);
    if there.effect in ('intended', 'unknown') then
        raise exception using
            errcode = 'JR022', message = 'nobody knows yet whether the external effect of this key took place',
            hint = format('call session.external with a probe, or: journal external resolve %s completed|failed', holder.step_id), detail = names;
    elsif 'failed' in (holder.status, there.effect) then
        return jsonb_build_object('failure', coalesce(there.effect_result, holder.result), 'next_attempt', holder.attempt + 1);
    elsif there.digest is null then
        if holder.transaction_id = pg_current_xact_id() and holder.cluster = journal.cluster_id() then
            perform journal.raise_in_progress(tool, key);
        end if;
        raise exception using
            errcode = 'JR013', message = 'the outcome of this key is unknown: its step was committed before it was completed',
            hint = format('see what step %s changed: journal.changes', holder.step_id), detail = names;
    end if;
    if there.was_rolled_back then
        rollback_id := journal.effective_rollback(holder.session_id, holder.step_id);
    end if;
    if rollback_id is not null then
        raise exception using
            errcode = 'JR017', message = 'the step of this key was rolled back',
            hint = format('attempt %s runs it anew', journal.next_attempt(holder)),
            detail = names || jsonb_build_object('rollback_id', rollback_id, 'next_attempt', journal.next_attempt(holder));
    end if;
    return jsonb_build_object('replay_of', holder.step_id, 'receipt',
                              jsonb_build_object('document', there.document, 'digest', there.digest, 'status', 'committed'));
end
$step_to_replay$;

comment on function journal.step_to_replay(text, text, text, integer, jsonb) is
    'What a key stands for: {replay_of, receipt} of the completed step, or {failure, next_attempt} of one that failed for good. Raises ArgumentsDiffer, StepReversed, StepInProgress or OutcomeUnknown where it cannot be replayed. Private.';

-- sql/journal/functions/remember_step.sql
-- Where the row of a step of this transaction lies, for as long as the step is open: so it is found again without an index, whose
-- pages a SERIALIZABLE transaction would lock against everybody's next step. Whoever forges the setting finds no step there.
create function journal.remember_step(step_id uuid, place tid) returns boolean
language plpgsql volatile
as $remember_step$
begin
    if current_setting('transaction_isolation') = 'serializable' then
        perform journal.write_notes(coalesce(journal.notes(), '{}') || jsonb_build_object(step_id, '{}'::jsonb));
    end if;
    return set_config('journal.steps', concat(current_setting('journal.steps', true), step_id, '@', place, ' '), true) is not null;
end
$remember_step$;

comment on function journal.remember_step(uuid, tid) is 'Notes where the row of an open step is. True. Private.';

-- sql/journal/functions/place_of_step.sql
-- Where remember_step noted the row of an open step of this transaction. No regular expression: one per step would be compiled anew.
create function journal.place_of_step(step_id uuid) returns tid
language sql stable
begin atomic
    select nullif(split_part(split_part(pg_catalog.current_setting('journal.steps', true), step_id::text || '@', 2), ' ', 1), '')::tid;
end;

comment on function journal.place_of_step(uuid) is 'Where the row of an open step of this transaction lies; null where that was not noted. Private.';

-- sql/journal/functions/forget_step.sql
-- A step that was completed need not be found again.
create function journal.forget_step(step_id uuid) returns boolean
language plpgsql volatile
as $forget_step$
declare
    notes constant jsonb := journal.notes();
begin
    if notes is not null then
        perform journal.write_notes(notes - step_id::text);
    end if;
    return set_config('journal.steps', replace(current_setting('journal.steps', true), concat(step_id, '@', journal.place_of_step(step_id), ' '), ''),
                      true) is not null;
end
$forget_step$;

comment on function journal.forget_step(uuid) is 'Forgets where the row of a step is. True. Private.';

-- sql/journal/functions/enter_step.sql
-- Begins a step in the open transaction and binds it. A key that was completed before is replayed: the answer brings its receipt, as
-- it was committed, and the caller runs nothing. The row of the try is the reservation of its key: a concurrent holder is waited
-- for through the unique index.
-- One statement enters the session, as journal.enter_session does, and writes the row: most of what a step costs is preparing
-- statements and expressions, which is done anew in every transaction.
-- The wait bounds also the lock on the session, which a rollback may hold.
-- own: the caller opened the transaction for this step alone. A replay then writes nothing but the note that somebody asked again:
-- the rest of it is read-only, and its commit waits for no disk.
create function journal.enter_step(
    session_id      uuid,
    tool            text,
    key             text,
    arguments       jsonb,
    attempt         integer,
    wait            interval,
    details         jsonb,
    kind            text,
    store_arguments boolean,
    own             boolean
) returns jsonb
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
as $enter_step$
#variable_conflict use_column
declare
    -- Functions are called by assignments, not performed: plpgsql evaluates a simple expression several times faster.
    done          boolean := journal.check_step(tool, key, attempt, kind);
    home          journal.session;
    outer_session uuid;
    outer_step    uuid;
    step_id       constant uuid := outbox.uuid7();
    there         jsonb;
    place         tid;
    patience      text := current_setting('lock_timeout');
begin
    if attempt > 1 and key is not null then
        home := journal.enter_session_of_step(session_id, tool, key, wait);
        done := journal.check_attempt(home.tenant, tool, key, attempt);
    end if;
    if current_setting('journal.binding', true) <> '' then
        select b.session_id, b.step_id into outer_session, outer_step from journal.bound_session() b;
    end if;
    while place is null loop
        begin
            done := set_config('lock_timeout', journal.lock_timeout_of(enter_step.wait), true) is not null;
            with home as (
                select s.tenant, s.db_role from journal.session s
                 where s.session_id = enter_step.session_id and s.status = 'open' and s.db_user = session_user
                   and not exists (select from journal.stop p where p.session_id = s.session_id and p.lifted_at is null)
                   and not exists (select from journal.stop p where p.agent = s.agent and p.lifted_at is null)
                   for share of s)
            insert into journal.step
                   (step_id, session_id, tool, kind, tenant, key, attempt, status, holds_key, replay_of, arguments, arguments_digest, details,
                    transaction_id, cluster, started_at, key_expires_at, outer_session_id, outer_step_id, db_user, db_role)
            select step_id, enter_step.session_id, enter_step.tool, enter_step.kind, home.tenant, enter_step.key, enter_step.attempt,
                   case when there is null then 'begun' else 'replayed' end, enter_step.key is not null and there is null,
                   (there ->> 'replay_of')::uuid, case when enter_step.store_arguments then enter_step.arguments end,
                   case when not enter_step.store_arguments then journal.arguments_digest(enter_step.arguments) end,
                   enter_step.details, pg_current_xact_id(), journal.cluster_id(), clock_timestamp(),
                   case when enter_step.key is not null and there is null then clock_timestamp() + journal.key_retention() end,
                   outer_session, outer_step, session_user, home.db_role
              from home
                on conflict (tenant, tool, key, attempt) where holds_key do nothing
            returning ctid into place;
        exception
            when lock_not_available then
                done := journal.session_is_held(session_id) and journal.raise_held(tool, key) is null;
                done := journal.raise_in_progress(tool, key) is null;
        end;
        patience := set_config('lock_timeout', patience, true);
        if place is null then
            home := journal.enter_session(session_id);
            there := journal.step_to_replay(home.tenant, tool, key, attempt, arguments);
            if there ? 'failure' then
                return there;
            end if;
        end if;
    end loop;
    done := journal.set_binding(session_id, step_id) and journal.remember_step(step_id, place);
    if own and there is not null then
        done := set_config('synchronous_commit', 'off', true) <> set_config('transaction_read_only', 'on', true);
    end if;
    return jsonb_build_object('step_id', step_id, 'replayed', there is not null, 'receipt', there -> 'receipt');
end
$enter_step$;

comment on function journal.enter_step(uuid, text, text, jsonb, integer, interval, jsonb, text, boolean, boolean) is
    'As journal.begin_step, for clients of ours: {step_id, replayed, receipt}, the receipt of a replay as it was committed; or, where the step of the key failed for good, {failure, next_attempt}. own: the transaction is the step''s own, a replay makes the rest of it read-only.';

-- sql/journal/functions/begin_step.sql
-- Begins a step in the open transaction and binds it. Complete the step in the same transaction, with journal.complete_step.
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
language plpgsql volatile
as $begin_step$
declare
    begun constant jsonb := journal.enter_step(session_id, tool, key, arguments, attempt, wait, details, kind, store_arguments, false);
begin
    if begun ? 'failure' then
        raise exception using
            errcode = 'JR018', message = 'the step of this key failed, and said so',
            hint = format('attempt %s runs it anew; journal.steps has the result', begun ->> 'next_attempt'),
            detail = jsonb_build_object('tool', tool, 'key', key);
    end if;
    step_id := begun ->> 'step_id';
    replayed := begun -> 'replayed';
    result := begun #> '{receipt, document, result}';
    receipt_id := begun #>> '{receipt, document, receipt_id}';
end
$begin_step$;

comment on function journal.begin_step(uuid, text, text, jsonb, integer, interval, jsonb, text, boolean) is
    'Begins a step in the open transaction: reserves the key (waits at most wait for a concurrent holder, or a rollback that holds the session) and binds the transaction. replayed: the key was completed before; result and receipt_id are those of then, run nothing. Raises InvalidKey, ArgumentsDiffer, StepInProgress, StepReversed, StepFailed, UnknownKind and the errors of journal.bind.';

-- sql/journal/functions/utc.sql
-- Documents are digested: a time in them reads the same whatever the caller's settings. Stable, or it would not be inlined.
create function journal.utc(at timestamptz) returns text
language sql stable parallel safe
begin atomic
    select pg_catalog.to_char(at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"');
end;

comment on function journal.utc(timestamptz) is 'A time in UTC, ISO 8601, with microseconds and Z.';

-- sql/journal/functions/add_count.sql
-- Counts of changed rows are kept per segment, because that needs no look-up while rows are written; a receipt names the table.
create function journal.add_count(counts jsonb, segment_id integer, operation "char", rows bigint) returns jsonb
language plpgsql stable
as $add_count$
declare
    table_name text;
    word       constant text := lower(journal.operation_name(operation));
begin
    select coalesce(journal.qualified_name(g.relation), g.table_name) into table_name from journal.segment g where g.segment_id = add_count.segment_id;
    return counts || jsonb_build_object(table_name,
        coalesce(counts -> table_name, '{}') || jsonb_build_object(word, coalesce((counts -> table_name -> word)::bigint, 0) + rows));
end
$add_count$;

comment on function journal.add_count(jsonb, integer, "char", bigint) is 'Adds changed rows of one table and operation to counts such as {"public.orders": {"update": 1}}. Private.';

-- sql/journal/functions/step_changes.sql
-- What a step of the running transaction changed so far, counted in the ledger, or as it was noted; no image is read.
create function journal.step_changes(step_id uuid, noted jsonb) returns jsonb
language plpgsql stable
as $step_changes$
declare
    counts  jsonb := '{}';
    counted record;
begin
    if noted is not null then
        for counted in
            select s.key::integer as segment_id, o.key::"char" as operation, o.value::bigint as rows
              from jsonb_each(noted -> 'rows') s, jsonb_each_text(s.value) o
        loop
            counts := journal.add_count(counts, counted.segment_id, counted.operation, counted.rows);
        end loop;
        return counts;
    end if;
    for counted in
        select s.segment_id, s.operation, sum(s.rows)::bigint as rows
          from journal.statement s
         where s.transaction_id = pg_current_xact_id()
           and s.cluster = journal.cluster_id()
           and step_changes.step_id = (
               select b.step_id from journal.binding b
                where b.transaction_id = s.transaction_id and b.cluster = s.cluster and b.statement_id < s.statement_id
                order by b.statement_id desc
                limit 1)
         group by s.segment_id, s.operation
    loop
        counts := journal.add_count(counts, counted.segment_id, counted.operation, counted.rows);
    end loop;
    return counts;
end
$step_changes$;

comment on function journal.step_changes(uuid, jsonb) is 'Row counts of a step of the running transaction, such as {"public.orders": {"update": 1}}.';

-- sql/journal/functions/step_messages.sql
-- The messages that a step of the running transaction published, in order: as the outbox has them, or as it was noted.
create function journal.step_messages(step_id uuid, noted jsonb) returns jsonb
language plpgsql stable
as $step_messages$
begin
    if noted is not null then
        return coalesce(noted -> 'messages', '[]');
    end if;
    return coalesce(
        (select jsonb_agg(m.message_id order by m.id) from outbox.message m
          where m.xid = pg_current_xact_id() and m.step_id = step_messages.step_id), '[]');
end
$step_messages$;

comment on function journal.step_messages(uuid, jsonb) is 'Ids of the messages of a step of the running transaction.';

-- sql/journal/functions/step_in_progress.sql
-- A step is completed by the transaction that began it; anything else means that the body committed or rolled back by itself.
create function journal.step_in_progress(step_id uuid) returns journal.step
language plpgsql stable
as $step_in_progress$
declare
    step  journal.step;
    place constant tid := journal.place_of_step(step_id);
begin
    if place is null then
        select s.* into step from journal.step s where s.step_id = step_in_progress.step_id;
    else
        select s.* into step from journal.step s where s.ctid = place and s.step_id = step_in_progress.step_id;
    end if;
    if step.step_id is null or step.transaction_id is distinct from pg_current_xact_id_if_assigned()
       or step.cluster <> journal.cluster_id() then
        raise exception using
            errcode = 'JR002', message = 'the step was not begun in this transaction',
            hint = 'the transaction of a step is committed or rolled back by whoever began it, after the step is completed';
    elsif step.db_user <> session_user then
        raise exception using
            errcode = 'JR012', message = 'the step belongs to another database user', hint = 'whoever began a step completes it';
    end if;
    return step;
end
$step_in_progress$;

comment on function journal.step_in_progress(uuid) is 'The step, if this transaction began it. Private.';

-- sql/journal/functions/write_receipt.sql
-- The receipt of a completed step: what it did, in the commit that does it.
create function journal.write_receipt(step journal.step, result jsonb) returns jsonb
language plpgsql volatile
as $write_receipt$
declare
    noted    constant jsonb := case when current_setting('journal.notes', true) <> '' then journal.notes() -> step.step_id::text end;
    id       constant uuid := outbox.uuid7();
    document constant jsonb := jsonb_build_object(
        'schema', 'journal.receipt/1', 'receipt_id', id, 'session_id', step.session_id, 'step_id', step.step_id,
        'tool', step.tool, 'kind', step.kind, 'tenant', step.tenant, 'key', step.key, 'attempt', step.attempt,
        'arguments', step.arguments, 'arguments_digest', step.arguments_digest, 'result', result,
        'changes', journal.step_changes(step.step_id, noted), 'message_ids', journal.step_messages(step.step_id, noted),
        'transaction_id', step.transaction_id::text, 'cluster', step.cluster::text, 'db_user', step.db_user,
        'started_at', journal.utc(step.started_at), 'committed_at', journal.utc(clock_timestamp()));
    digest   constant text := 'sha256:' || encode(sha256(convert_to(document::text, 'UTF8')), 'hex');
begin
    insert into journal.receipt (receipt_id, step_id, document, digest) values (id, step.step_id, document, digest)
        on conflict (step_id) do nothing;
    if not found then
        raise exception using
            errcode = 'JR013', message = 'the step was completed already', hint = 'complete each step once; call again with its key to get its result';
    end if;
    return jsonb_build_object('document', document, 'digest', digest);
end
$write_receipt$;

comment on function journal.write_receipt(journal.step, jsonb) is 'Writes the receipt of a step: its document and digest. Private: call journal.complete_step.';

-- sql/journal/functions/end_step.sql
-- Completes a step and says what its receipt says; of a replay, nothing. `last`: the commit follows at once, so the transaction
-- stays bound, and what deferred triggers still change belongs to the step.
create function journal.end_step(step_id uuid, result jsonb, last boolean) returns jsonb
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
as $end_step$
declare
    step    constant journal.step := journal.step_in_progress(step_id);
    receipt constant jsonb := case when step.replay_of is null then journal.write_receipt(step, result) end;
    done    boolean;
begin
    if step.outer_session_id is not null or not last then
        done := journal.set_binding(step.outer_session_id, step.outer_step_id) and journal.forget_step(step_id);
    end if;
    return receipt;
end
$end_step$;

comment on function journal.end_step(uuid, jsonb, boolean) is
    'As journal.complete_step; returns document and digest of the receipt, null for a replay. last: the caller commits next, and the transaction may stay bound.';

-- sql/journal/functions/provider_key.sql
-- What a provider is told to recognise a repeated request by: the same for every try of a key, another in every other database. A
-- key that had expired stands for another effect, which the provider must not take for the first.
create function journal.provider_key(tenant text, tool text, key text, attempt integer) returns text
language plpgsql stable
as $provider_key$
declare
    effect   jsonb := jsonb_build_array(tenant, tool, key, attempt);
    provider text;
begin
    loop
        provider := 'journal-' || left(journal.keyed_digest('provider key', effect::text, null), 48);
        exit when not exists (
            select from journal.external e join journal.step s on s.step_id = e.step_id
             where e.provider_key = provider and s.key_expires_at <= clock_timestamp());
        effect := effect || jsonb_build_array(provider);
    end loop;
    return provider;
end
$provider_key$;

comment on function journal.provider_key(text, text, text, integer) is 'The idempotency key that a provider is given. Private.';

-- sql/journal/functions/intend_step.sql
-- Records that an external effect is about to be made, to be committed before it is. Under a key that is taken, the step that
-- holds it: external where its outcome is open, and not external where a step of the key says how it ended.
create function journal.intend_step(
    session_id      uuid,
    tool            text,
    key             text,
    runner          uuid,
    arguments       jsonb default null,
    attempt         integer default 1,
    wait            interval default '10 s',
    details         jsonb default null,
    kind            text default null,
    store_arguments boolean default true,
    out step_id     uuid,
    out external    boolean
)
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
as $intend_step$
#variable_conflict use_column
declare
    checked  boolean := journal.check_step(tool, key, attempt, kind);
    home     constant journal.session := journal.enter_session_of_step(session_id, tool, key, wait);
    holder   journal.step;
    patience text := current_setting('lock_timeout');
begin
    if intend_step.key is null then
        raise exception using
            errcode = 'JR014', message = 'an external effect needs a key: without one nobody can tell a retry from another effect',
            hint = 'name what the effect is about, such as order-42', detail = jsonb_build_object('tool', tool);
    elsif kind = 'read' then
        raise exception using
            errcode = 'JR042', message = 'an external effect is made, and a tool of kind read makes none',
            hint = 'give it the kind that says what it does, or look things up in session.step';
    elsif attempt > 1 then
        checked := journal.check_attempt(home.tenant, tool, key, attempt);
    end if;
    loop
        begin
            perform set_config('lock_timeout', journal.lock_timeout_of(intend_step.wait), true);
            insert into journal.step
                   (step_id, session_id, tool, kind, tenant, key, attempt, status, holds_key, arguments, arguments_digest, details,
                    transaction_id, cluster, started_at, key_expires_at, db_user, db_role)
            values (outbox.uuid7(), intend_step.session_id, intend_step.tool, intend_step.kind, home.tenant, intend_step.key, intend_step.attempt,
                    'intended', true, case when intend_step.store_arguments then intend_step.arguments end,
                    case when not intend_step.store_arguments then journal.arguments_digest(intend_step.arguments) end, intend_step.details,
                    pg_current_xact_id(), journal.cluster_id(), clock_timestamp(), clock_timestamp() + journal.key_retention(), session_user,
                    home.db_role)
                on conflict (tenant, tool, key, attempt) where holds_key do nothing
            returning step_id into intend_step.step_id;
        exception
            when lock_not_available then
                perform journal.raise_in_progress(intend_step.tool, intend_step.key);
        end;
        patience := set_config('lock_timeout', patience, true);
        if intend_step.step_id is not null then
            insert into journal.external (step_id, provider_key, runner)
            values (intend_step.step_id, journal.provider_key(home.tenant, tool, key, attempt), intend_step.runner);
            external := true;
            return;
        end if;
        select s.* into holder from journal.step s
         where s.tenant = home.tenant and s.tool = intend_step.tool and s.key = intend_step.key and s.attempt = intend_step.attempt and s.holds_key;
        if found and holder.key_expires_at <= clock_timestamp() and journal.free_expired_key(holder) then
            continue;
        elsif found then
            external := exists (select from journal.external e where e.step_id = holder.step_id and e.status in ('intended', 'unknown'));
            if external and journal.arguments_differ(holder, intend_step.arguments) then
                perform journal.raise_arguments_differ(holder, intend_step.arguments);
            end if;
            intend_step.step_id := holder.step_id;
            return;
        end if;
    end loop;
end
$intend_step$;

comment on function journal.intend_step(uuid, text, text, uuid, jsonb, integer, interval, jsonb, text, boolean) is
    'Records the intent of an external effect; commit it before the effect is made. external: the outcome of the key is open, journal.take_external says whose turn it is; else journal.begin_step says how it ended. Private.';

-- sql/journal/functions/take_external.sql
-- Takes the row of an external effect for this transaction, and says what there is to do: 'run' it, because the intent is the
-- caller's own, which he takes once and nobody else runs; 'ask' the provider, because somebody was at it and his outcome is open; or
-- 'done'. The lock tells the living from the dead: it is held from before the effect is made until its outcome is committed. Between
-- the commit of an intent and its lock nothing tells them apart: an intent of another is left half a second to be taken.
create function journal.take_external(step_id uuid, runner uuid, wait interval, out turn text, out provider_key text)
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
as $take_external$
declare
    step     journal.step;
    taken    journal.external;
    home     journal.session;
    bound    boolean;
    patience text := current_setting('lock_timeout');
    deadline constant timestamptz := clock_timestamp() + take_external.wait;
begin
    select s.* into step from journal.step s where s.step_id = take_external.step_id;
    if step.db_user is distinct from session_user::text
       and not exists (select from journal.external e where e.step_id = take_external.step_id and e.status in ('completed', 'failed')) then
        raise exception using
            errcode = 'JR012', message = 'the step belongs to another database user',
            hint = 'call as that user, or say what happened: journal external resolve STEP completed|failed';
    end if;
    while exists (select from journal.external e where e.step_id = take_external.step_id and e.status = 'intended' and e.runner <> take_external.runner)
          and clock_timestamp() < step.started_at + interval '0.5 s' loop
        if clock_timestamp() >= deadline then
            perform journal.raise_in_progress(step.tool, step.key);
        end if;
        perform pg_sleep(0.01);
    end loop;
    begin
        perform set_config('lock_timeout', journal.lock_timeout_of(deadline - clock_timestamp()), true);
        select e.* into taken from journal.external e where e.step_id = take_external.step_id for update;
    exception
        when lock_not_available then
            perform journal.raise_in_progress(step.tool, step.key);
    end;
    patience := set_config('lock_timeout', patience, true);
    provider_key := taken.provider_key;
    turn := case when taken.status in ('completed', 'failed') then 'done'
                 when taken.runner = take_external.runner then 'run' else 'ask' end;
    if turn = 'run' then
        home := journal.enter_session_of_step(step.session_id, step.tool, step.key, deadline - clock_timestamp());
        bound := journal.set_binding(step.session_id, step.step_id);
    end if;
end
$take_external$;

comment on function journal.take_external(uuid, uuid, interval) is
    'Locks an external effect and says whose turn it is: run, ask or done. Raises StepInProgress where somebody is at it for longer than wait, NotSessionOwner where it is another user''s and open. Private.';

-- sql/journal/functions/end_external.sql
-- Completes the external effect that this transaction holds: receipt and outcome are part of the commit that has its rows.
create function journal.end_external(step_id uuid, result jsonb) returns jsonb
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
as $end_external$
declare
    step journal.step;
begin
    select s.* into step from journal.step s where s.step_id = end_external.step_id;
    if step.db_user <> session_user then
        raise exception using
            errcode = 'JR012', message = 'the step belongs to another database user', hint = 'whoever began a step completes it';
    end if;
    update journal.external e
       set status = 'completed', transaction_id = pg_current_xact_id(), settled_at = clock_timestamp(), settled_by = session_user
     where e.step_id = end_external.step_id and e.status in ('intended', 'unknown');
    if not found then
        raise exception using
            errcode = 'JR013', message = 'the step was completed already', hint = 'call again with its key to get its result';
    end if;
    step.transaction_id := pg_current_xact_id();
    return journal.write_receipt(step, result);
end
$end_external$;

comment on function journal.end_external(uuid, jsonb) is 'Completes an external effect in the running transaction. Private.';

-- sql/journal/functions/settle_external.sql
-- What became of an external effect that was not completed: unknown, failed (the key stays, a retry is told), or absent (the provider
-- does not know it: the key is free for another try).
create function journal.settle_external(step_id uuid, outcome text, result jsonb default null, error jsonb default null) returns boolean
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
as $settle_external$
declare
    settled boolean;
begin
    update journal.external e
       set status = case outcome when 'unknown' then 'unknown' else 'failed' end, result = settle_external.result,
           error = coalesce(settle_external.error, e.error),
           settled_at = case when outcome <> 'unknown' then clock_timestamp() end,
           settled_by = case when outcome <> 'unknown' then session_user::text end,
           note = case outcome when 'absent' then 'the provider does not know it' end
      from journal.step s
     where e.step_id = settle_external.step_id and s.step_id = e.step_id and s.db_user = session_user
       and e.status in ('intended', 'unknown');
    settled := found;
    if settled and outcome = 'absent' then
        update journal.step s set holds_key = false where s.step_id = settle_external.step_id;
    end if;
    return settled;
end
$settle_external$;

comment on function journal.settle_external(uuid, text, jsonb, jsonb) is 'Records that an external effect is unknown, failed or absent; false where it was settled before. Private.';

-- sql/journal/functions/resolve_external.sql
-- A person says what became of an external effect. Refused while a caller is at it.
create function journal.resolve_external(step_id uuid, outcome text, note text) returns boolean
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
as $resolve_external$
declare
    step  journal.step;
    found_status text;
begin
    if coalesce(outcome, '') not in ('completed', 'failed') then
        raise exception using
            errcode = 'JR013', message = 'an external effect is resolved as completed or failed',
            hint = 'say what the provider says; leave it unknown where that is not known either';
    end if;
    select s.* into step from journal.step s where s.step_id = resolve_external.step_id;
    begin
        select e.status into found_status from journal.external e where e.step_id = resolve_external.step_id for update nowait;
    exception
        when lock_not_available then
            perform journal.raise_in_progress(step.tool, step.key);
    end;
    if found_status is null then
        raise exception using errcode = 'JR013', message = 'there is no such external effect', hint = 'journal external lists them';
    elsif found_status in ('completed', 'failed') then
        return false;
    end if;
    update journal.external e
       set status = outcome, settled_at = clock_timestamp(), settled_by = session_user, note = resolve_external.note,
           transaction_id = case outcome when 'completed' then pg_current_xact_id() end
     where e.step_id = resolve_external.step_id;
    if outcome = 'completed' then
        step.transaction_id := pg_current_xact_id();
        perform journal.write_receipt(step, null);
    end if;
    return true;
end
$resolve_external$;

comment on function journal.resolve_external(uuid, text, text) is
    'Says what became of an external effect whose outcome is unknown: completed (a receipt is written) or failed (a retry is told). note: how that is known. False where it was settled before. Raises StepError where there is none, StepInProgress while a caller is at it.';

-- sql/journal/functions/complete_step.sql
-- Completes a step of the running transaction: result and receipt become part of its commit. What was bound before is bound again.
create function journal.complete_step(step_id uuid, result jsonb default null) returns uuid
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
as $complete_step$
declare
    receipt constant jsonb := journal.end_step(step_id, result, false);
begin
    if receipt is not null then
        return receipt #>> '{document, receipt_id}';
    end if;
    return (select r.receipt_id from journal.step s join journal.receipt r on r.step_id = s.replay_of where s.step_id = complete_step.step_id);
end
$complete_step$;

comment on function journal.complete_step(uuid, jsonb) is
    'Completes a step of the running transaction and returns the id of its receipt; of a replayed step, the receipt of the first time. Raises ConnectionUseError where another transaction began the step.';

-- sql/journal/functions/fail_step.sql
-- Records a try that failed, after its transaction (or savepoint) was rolled back. With final the failure is kept under the key,
-- unless another caller has the key by now.
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
#variable_conflict use_column
declare
    home     journal.session;
    holds    boolean := coalesce(fail_step.final, false) and fail_step.key is not null;
    recorded boolean := false;
    patience constant text := current_setting('lock_timeout');
begin
    perform journal.check_step(fail_step.tool, fail_step.key, fail_step.attempt, fail_step.kind);
    select s.* into home from journal.session s where s.session_id = fail_step.session_id and s.db_user = session_user;
    if not found then
        perform journal.raise_unknown_session(fail_step.session_id);
    end if;
    while not recorded loop
        begin
            perform set_config('lock_timeout', '1s', true);
            insert into journal.step
                   (step_id, session_id, tool, kind, tenant, key, attempt, status, holds_key, arguments, arguments_digest, details, result, error,
                    transaction_id, cluster, started_at, ended_at, key_expires_at, db_user, db_role)
            values (coalesce(fail_step.step_id, outbox.uuid7()), fail_step.session_id, fail_step.tool, fail_step.kind, home.tenant, fail_step.key,
                    fail_step.attempt, 'failed', holds, case when fail_step.store_arguments then fail_step.arguments end,
                    case when not fail_step.store_arguments then journal.arguments_digest(fail_step.arguments) end,
                    fail_step.details, fail_step.result, fail_step.error, pg_current_xact_id(), journal.cluster_id(),
                    coalesce(fail_step.started_at, clock_timestamp()), clock_timestamp(),
                    case when holds then clock_timestamp() + journal.key_retention() end, session_user, home.db_role)
                on conflict (tenant, tool, key, attempt) where holds_key do nothing;
            recorded := found;
        exception
            when lock_not_available then null;
        end;
        holds := holds and recorded;
    end loop;
    perform set_config('lock_timeout', patience, true);
    return holds;
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
comment on column journal.sessions.hold is 'Default hold of its messages: close or a duration; null: none.';
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
       case when e.status <> 'completed' then e.status
            when s.status not in ('begun', 'intended') then s.status
            when r.receipt_id is null then 'unknown'
            when journal.effective_rollback(s.session_id, s.step_id) is not null then 'reversed'
            else 'completed' end as status,
       s.replay_of,
       s.arguments,
       coalesce(s.result, e.result, r.document -> 'result') as result,
       coalesce(s.error, e.error) as error,
       coalesce(e.transaction_id, s.transaction_id) as transaction_id,
       s.started_at,
       coalesce(s.ended_at, e.settled_at, (r.document ->> 'committed_at')::timestamptz) as ended_at,
       s.key_expires_at,
       s.db_user,
       s.db_role,
       r.receipt_id
  from journal.step s
  left join journal.external e on e.step_id = s.step_id
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
    'completed, failed, replayed (the key was completed before; nothing ran), reversed (completed, then rolled back), intended (an external effect that is being made, or whose caller died), or unknown (nobody could tell whether it took effect).';
comment on column journal.steps.replay_of is 'Of a replay: the step that did it.';
comment on column journal.steps.arguments is 'What identifies the effect; null: none, or only their digest is kept.';
comment on column journal.steps.result is 'Result; of a replay, that of the first time; of a step that failed for good, the recorded failure.';
comment on column journal.steps.error is 'Of a failed try: type and sqlstate of the error, and the message where it is one of ours.';
comment on column journal.steps.transaction_id is 'Transaction of the step; of a failed try, the one that recorded it.';
comment on column journal.steps.started_at is 'When it began.';
comment on column journal.steps.ended_at is 'When it was completed, or failed.';
comment on column journal.steps.key_expires_at is 'Until when, at least, a retry finds this step by its key: longer while an external effect is unknown or a later attempt is kept. null: this try holds no key.';
comment on column journal.steps.db_user is 'session_user.';
comment on column journal.steps.db_role is 'The role that the step ran as.';
comment on column journal.steps.receipt_id is 'Receipt of the step; of a replay, that of the first time.';

-- sql/journal/views/externals.sql
-- External effects: what was intended, and what became of it.
create view journal.externals as
select e.step_id, s.session_id, s.tool, s.kind, s.tenant, s.key, s.attempt, e.status, e.provider_key, s.started_at as intended_at, e.settled_at,
       e.settled_by, e.error, e.note
  from journal.external e
  join journal.step s on s.step_id = e.step_id;

comment on view journal.externals is 'External effects: intended before they are made, and what became of them.';
comment on column journal.externals.step_id is 'Its step.';
comment on column journal.externals.session_id is 'Agent session that intended it.';
comment on column journal.externals.tool is 'Name of the tool.';
comment on column journal.externals.kind is 'Kind of the tool; null: not said.';
comment on column journal.externals.tenant is 'Tenant of the session.';
comment on column journal.externals.key is 'Idempotency key.';
comment on column journal.externals.attempt is 'Which attempt under the key.';
comment on column journal.externals.status is
    'intended (a caller is at it, or died), unknown (its caller could not tell), completed, or failed. Intended and unknown are never run again before a probe or a person said what happened.';
comment on column journal.externals.provider_key is 'What the provider knows the request by.';
comment on column journal.externals.intended_at is 'When the intent was recorded.';
comment on column journal.externals.settled_at is 'When its outcome was recorded; null: it is open.';
comment on column journal.externals.settled_by is 'Database user that recorded it.';
comment on column journal.externals.error is 'What its caller met: type and sqlstate.';
comment on column journal.externals.note is 'How the outcome is known, where its own caller did not say.';

-- sql/journal/functions/delivered_at.sql
-- When the last of some messages was stored by the last destination that takes it: null while one is not, and where there are none
-- or nobody takes one. Its body is bound late: relay is loaded after journal.
create function journal.delivered_at(message_ids jsonb) returns timestamptz
language plpgsql stable security definer
set search_path = pg_catalog, pg_temp
as $delivered_at$
begin
    if message_ids = '[]' then
        return null;
    end if;
    return (
        select case when bool_and(stored.everywhere) then max(stored.at) end
          from jsonb_array_elements_text(message_ids) m (id)
         cross join lateral (
               select coalesce(bool_and(d.status = 'delivered'), false) as everywhere, max(d.delivered_at) as at
                 from relay.deliveries d where d.message_id = m.id::uuid
               ) stored);
end
$delivered_at$;

comment on function journal.delivered_at(jsonb) is 'When all of these messages were stored by every destination that takes them; null while they are not.';

-- sql/journal/functions/confirm.sql
-- A consumer confirms what a step asked of it by message. Saying it again changes nothing.
create function journal.confirm(receipt_id uuid, consumer text) returns boolean
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
as $confirm$
#variable_conflict use_variable
begin
    if not exists (select from journal.receipt r where r.receipt_id = confirm.receipt_id) then
        raise exception using errcode = 'JR040', message = 'there is no such receipt', hint = 'journal.receipts lists them';
    elsif octet_length(coalesce(consumer, '')) not between 1 and 512 then
        raise exception using
            errcode = 'JR039', message = 'a confirmation needs the name of its consumer, of 1 to 512 bytes', hint = 'name the service that did the work';
    end if;
    insert into journal.confirmation (receipt_id, consumer) values (confirm.receipt_id, confirm.consumer) on conflict do nothing;
    return found;
end
$confirm$;

comment on function journal.confirm(uuid, text) is
    'Records that a consumer did what a step asked of it; the receipt becomes confirmed. False where that consumer said so before. Raises UnknownReceipt.';

-- sql/journal/views/receipts.sql
-- What completed steps did, as their own commits say. All but the status, and what belongs to it, is read from the document.
create view journal.receipts as
select r.receipt_id,
       s.session_id,
       s.step_id,
       s.tool,
       s.tenant,
       s.key,
       s.attempt,
       case when undone.rollback_id is not null then 'reversed'
            when confirmed.at is not null then 'confirmed'
            when delivered.at is not null then 'delivered'
            else 'committed' end as status,
       (r.document ->> 'committed_at')::timestamptz as committed_at,
       delivered.at as delivered_at,
       confirmed.at as confirmed_at,
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
 cross join lateral journal.effective_rollback(s.session_id, s.step_id) as undone (rollback_id)
 cross join lateral journal.delivered_at(r.document -> 'message_ids') as delivered (at)
 cross join lateral (select min(c.confirmed_at) from journal.confirmation c where c.receipt_id = r.receipt_id) as confirmed (at);

comment on view journal.receipts is 'Receipts: what a step did, recorded in its own commit. A row exists if and only if the step committed.';
comment on column journal.receipts.receipt_id is 'Id of the receipt.';
comment on column journal.receipts.session_id is 'Agent session of the step.';
comment on column journal.receipts.step_id is 'The step.';
comment on column journal.receipts.tool is 'Name of the tool.';
comment on column journal.receipts.tenant is 'Tenant of the session.';
comment on column journal.receipts.key is 'Idempotency key; null: none.';
comment on column journal.receipts.attempt is 'Which attempt under the key.';
comment on column journal.receipts.status is
    'committed; delivered (every destination that takes its messages has stored them all); confirmed (by a consumer); reversed (by a rollback that is in effect).';
comment on column journal.receipts.committed_at is 'When the step was completed, just before its commit.';
comment on column journal.receipts.delivered_at is 'When the last of its messages was known to be stored; null: not yet, or there are none.';
comment on column journal.receipts.confirmed_at is 'When a consumer first confirmed it.';
comment on column journal.receipts.reversed_at is 'When it was rolled back.';
comment on column journal.receipts.reversed_by is 'Rollback that took it back.';
comment on column journal.receipts.changes is 'Changed rows per table and operation, counted in the ledger: {"public.orders": {"update": 1}}.';
comment on column journal.receipts.message_ids is 'Messages that the step published, in order.';
comment on column journal.receipts.result is 'Result of the step.';
comment on column journal.receipts.digest is '''sha256:'' and the hex digest of document::text in UTF-8.';
comment on column journal.receipts.document is 'All that the receipt says; written once, in the commit of the step.';

-- sql/journal/functions/claim.sql
-- Records what an agent asserts, and what it points to: the id of a receipt or of a step; null: nothing.
create function journal.claim(session_id uuid, claim text, subject uuid default null) returns uuid
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
as $claim$
#variable_conflict use_variable
declare
    recorded constant uuid := outbox.uuid7();
    of_step  constant boolean := exists (select from journal.step s where s.step_id = subject);
    owner    name;
begin
    select s.db_user into owner from journal.session s where s.session_id = claim.session_id;
    if not found then
        perform journal.raise_unknown_session(session_id);
    elsif owner <> session_user then
        raise exception using
            errcode = 'JR012', message = format('session %s was opened by another database user', session_id),
            hint = 'a session claims for itself: open one of your own';
    elsif coalesce(claim, '') = '' then
        raise exception using errcode = 'JR039', message = 'a claim says something', hint = 'pass what the agent says, such as refund submitted';
    end if;
    insert into journal.claim (claim_id, session_id, receipt_id, step_id, claim)
    values (recorded, session_id, case when not of_step then subject end, case when of_step then subject end, claim);
    return recorded;
end
$claim$;

comment on function journal.claim(uuid, text, uuid) is
    'Records a claim of a session of the caller''s, and returns its id. subject: the receipt, or step, that is to back it; null: none. Raises UnknownSession, NotSessionOwner.';

-- sql/journal/functions/claim_verdict.sql
-- Whether a claim holds now, by ids alone. The proof belongs to the tenant of the session that claims.
create function journal.claim_verdict(session_id uuid, receipt_id uuid, step_id uuid) returns text
language plpgsql stable security definer
set search_path = pg_catalog, pg_temp
as $claim_verdict$
#variable_conflict use_variable
declare
    proof  journal.receipt;
    proven journal.step;
begin
    select s.* into proven from journal.step s where s.step_id = claim_verdict.step_id;
    select r.* into proof from journal.receipt r where r.receipt_id = claim_verdict.receipt_id or r.step_id = coalesce(proven.replay_of, proven.step_id);
    if proof.step_id is not null then
        select s.* into proven from journal.step s where s.step_id = proof.step_id;
    end if;
    if proven.tenant is distinct from (select s.tenant from journal.session s where s.session_id = claim_verdict.session_id) then
        return 'unbacked';
    elsif proven.status = 'failed' or exists (select from journal.external e where e.step_id = proven.step_id and e.status = 'failed')
       or journal.effective_rollback(proven.session_id, proven.step_id) is not null then
        return 'contradicted';
    end if;
    return case when proof.receipt_id is null then 'unbacked' else 'backed' end;
end
$claim_verdict$;

comment on function journal.claim_verdict(uuid, uuid, uuid) is 'backed, unbacked or contradicted. Private.';

-- sql/journal/views/claims.sql
-- What agents asserted, judged anew whenever it is read: a receipt that is rolled back contradicts what it backed before.
create view journal.claims as
select c.claim_id,
       c.session_id,
       coalesce(c.receipt_id, r.receipt_id) as receipt_id,
       c.claim,
       journal.claim_verdict(c.session_id, c.receipt_id, c.step_id) as verdict,
       c.claimed_at
  from journal.claim c
  left join journal.step s on s.step_id = c.step_id
  left join journal.receipt r on r.step_id = coalesce(s.replay_of, s.step_id);

comment on view journal.claims is 'What agents said they did, and whether a receipt says so too.';
comment on column journal.claims.claim_id is 'Id of the claim.';
comment on column journal.claims.session_id is 'Agent session that made it.';
comment on column journal.claims.receipt_id is 'Receipt that it points to, which may not exist; null: none.';
comment on column journal.claims.claim is 'What was said. Never interpreted.';
comment on column journal.claims.verdict is
    'backed (a receipt of the tenant, in effect), unbacked (there is none), or contradicted (what it points to was rolled back, or failed).';
comment on column journal.claims.claimed_at is 'When it was said.';

-- sql/journal/functions/check_claims.sql
-- Claims as they stand now, as drivers of any kind read them: of a session, and of others that work for the same tenant, such as
-- its children.
create function journal.check_claims(session_id uuid, claim_ids uuid[]) returns jsonb
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
as $check_claims$
begin
    return (
        select coalesce(jsonb_agg(to_jsonb(c) order by named.n), '[]')
          from unnest(claim_ids) with ordinality as named (claim_id, n)
          join journal.claims c on c.claim_id = named.claim_id
          join journal.session s on s.session_id = c.session_id and s.db_user = session_user
          join journal.session asking on asking.session_id = check_claims.session_id and asking.db_user = session_user
         where s.tenant = asking.tenant);
end
$check_claims$;

comment on function journal.check_claims(uuid, uuid[]) is
    'Rows of journal.claims as JSON, in the order asked for: of sessions of the caller''s, of the tenant of this one. Those that are not there are left out.';

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
-- sql/outbox/functions/uuid7.sql
-- UUIDv7 (RFC 9562) on PostgreSQL 15 to 18: 48 bits of milliseconds, 12 bits of their fraction, 62 random bits. The time is counted
-- in 4096ths of a millisecond and written as 15 hex digits; the version follows the twelfth. One expression, which is inlined:
-- every step needs two ids, every message one.
create function outbox.uuid7() returns uuid
language sql volatile parallel safe
begin atomic
    select (overlay(lpad(to_hex((date_part('epoch', pg_catalog.clock_timestamp()) * 4096000)::bigint), 15, '0') placing '7' from 13 for 0)
            || substr(gen_random_uuid()::text, 19))::uuid;
end;

comment on function outbox.uuid7() is 'A new UUIDv7: ids rise with time, to the microsecond.';

-- sql/outbox/tables/message_id.sql
-- The order within one transaction, and within one key. CACHE 1: a cache per backend would hand out old numbers late.
create sequence outbox.message_id as bigint cache 1;

comment on sequence outbox.message_id is 'Numbers of outbox.message. Private; a message''s public id is message_id.';

-- sql/outbox/tables/message.sql
-- Messages, append-only: never updated, never deleted row by row. Partitioned by id, so that retention drops whole partitions.
-- xid is the top-level transaction: a savepoint's own id would count as committed while its transaction is still open.
create table outbox.message (
    id           bigint not null default nextval('outbox.message_id') primary key,
    xid          xid8 not null default pg_current_xact_id(),
    message_id   uuid not null default outbox.uuid7(),
    session_id   uuid,
    step_id      uuid,
    topic        text not null,
    key          text,
    slot         smallint not null check (slot between 0 and 4095),
    type         text not null,
    data         jsonb,
    headers      jsonb not null default '{}',
    compensation jsonb,
    compensates  uuid,
    caused_by    uuid,
    hold         text,
    release_at   timestamptz,
    created_at   timestamptz not null default clock_timestamp(),
    bytes        integer not null
) partition by range (id);

create index message_xid on outbox.message (xid);
create index message_message_id on outbox.message (message_id);
create index message_session on outbox.message (session_id) where session_id is not null;
create index message_compensates on outbox.message (compensates) where compensates is not null;
create index message_caused_by on outbox.message (caused_by) where caused_by is not null;

comment on table outbox.message is 'Messages. Private; publish with outbox.publish, read outbox.messages.';

-- sql/outbox/tables/message_1.sql
-- The first million messages.
create table outbox.message_1 partition of outbox.message for values from (minvalue) to (1000001);

comment on table outbox.message_1 is 'Partition of outbox.message. Private.';

-- sql/outbox/tables/message_default.sql
-- Takes what no partition was made for: a missing partition must never fail a business transaction.
create table outbox.message_default partition of outbox.message default;

comment on table outbox.message_default is 'Partition of outbox.message. Private.';

-- sql/outbox/tables/cancellation.sql
-- Messages that a rollback took back before they were sealed. Insert only: cancelled implies never sealed, and the other way round.
create table outbox.cancellation (
    id           bigint primary key,
    xid          xid8 not null default pg_current_xact_id(),
    rollback_id  uuid not null,
    cancelled_at timestamptz not null default clock_timestamp()
);

create index cancellation_xid on outbox.cancellation (xid);
create index cancellation_rollback on outbox.cancellation (rollback_id);

comment on table outbox.cancellation is 'Cancelled messages. Private; read outbox.messages.';

-- sql/outbox/tables/lineage.sql
-- One row per history of this database: a failover or a point-in-time restore opens the next. Written at the first seal, not at
-- installation, so that databases made from one template are not taken for each other.
create table outbox.lineage (
    no                integer primary key,
    lineage_id        uuid not null unique default outbox.uuid7(),
    system_identifier bigint,
    timeline          bigint,
    database          oid not null,
    from_seal         bigint not null,
    opened_at         timestamptz not null default clock_timestamp()
);

comment on table outbox.lineage is 'Histories of this database, told apart by cluster, timeline and database. Private.';

-- sql/outbox/tables/seal.sql
-- A seal fixes which messages come next, before any is published: those visible in snap and not in its predecessor's, and those
-- released from pending, less those still pending. Append-only; a relay of any destination may seal.
create table outbox.seal (
    no         bigint primary key,
    lineage    integer not null references outbox.lineage,
    kind       text not null default 'snapshot' check (kind in ('snapshot', 'retry', 'rebase')),
    snap       pg_snapshot not null,
    pending    bigint[] not null default '{}',
    released   bigint[] not null default '{}',
    members    bigint not null default 0,
    bytes      bigint not null default 0,
    digest     bigint not null default 0,
    total      bigint not null default 0,
    min_id     bigint,
    max_id     bigint not null default 0,
    from_id    bigint not null default 0,
    due_at     timestamptz,
    waits_for  uuid[] not null default '{}',
    lock_missed boolean not null default false,
    sealer     text not null default session_user,
    sealed_at  timestamptz not null default clock_timestamp()
);

-- Finds the seal of a message by its transaction.
create index seal_xmax on outbox.seal (pg_snapshot_xmax(snap), no);
create index seal_sealed_at on outbox.seal (sealed_at);

comment on table outbox.seal is 'Seals: the order of messages, fixed before delivery. Private; read outbox.messages and relay.deliveries.';
comment on column outbox.seal.pending is 'Messages visible in snap that wait: held, of a session that a rollback has locked, or of a key that waits.';
comment on column outbox.seal.released is 'Members that were pending in the predecessor.';
comment on column outbox.seal.digest is 'Exclusive or of the members'' hashes; with members it shows at every read that none is missing.';
comment on column outbox.seal.total is 'Members of this seal and of all before it.';
comment on column outbox.seal.max_id is 'Highest message number seen so far; a sequence below it was rewound.';
comment on column outbox.seal.from_id is 'Messages up to this number were there at the last rebase, which listed those that were not sealed; transaction ids tell only of those above.';
comment on column outbox.seal.due_at is 'When the first hold among pending runs out.';
comment on column outbox.seal.waits_for is 'Sessions whose close releases something that is pending.';
comment on column outbox.seal.lock_missed is 'Something is pending only because a rollback had locked its session.';

-- sql/outbox/tables/sealer.sql
-- One row, locked by whoever seals. It only saves work: two sealers would collide on the seal's number.
create table outbox.sealer (
    one boolean primary key default true check (one)
);

insert into outbox.sealer default values;

comment on table outbox.sealer is 'The lock of sealing. Private.';

-- sql/outbox/tables/inbox.sql
-- What consumers have worked through: the row is part of the commit of the work itself.
create table outbox.inbox (
    consumer   text not null check (consumer <> '' and octet_length(consumer) <= 255),
    message_id text not null check (message_id <> '' and octet_length(message_id) <= 255),
    taken_at   timestamptz not null default clock_timestamp(),
    primary key (consumer, message_id)
);

comment on table outbox.inbox is 'Messages that consumers have worked through. Private; call outbox.take.';

-- sql/outbox/tables/pruned.sql
-- How far messages were dropped: one row. Seals up to through_seal are no longer whole; whoever comes new begins after it.
create table outbox.pruned (
    one          boolean primary key default true check (one),
    through_seal bigint not null default 0,
    through_id   bigint not null default 0,
    pruned_at    timestamptz
);

insert into outbox.pruned default values;

comment on table outbox.pruned is 'How far messages were dropped. Private.';

-- sql/outbox/functions/slot_of.sql
-- The first 12 bits of sha256: fixed at insert, the same on every version (Postgres promises that of none of its own hashes).
create function outbox.slot_of(key text) returns smallint
language sql immutable strict parallel safe
return ('x' || left(encode(sha256(convert_to(key, 'UTF8')), 'hex'), 3))::bit(12)::int::smallint;

comment on function outbox.slot_of(text) is 'The slot of a key, 0 to 4095; a lane is slot modulo lanes.';

-- sql/outbox/functions/hash_of.sql
-- The random half of a message id, as a number for the seal's digest.
create function outbox.hash_of(message_id uuid) returns bigint
language sql immutable strict parallel safe
return ('x' || encode(substring(uuid_send(message_id) from 9), 'hex'))::bit(64)::bigint;

comment on function outbox.hash_of(uuid) is 'What a message adds to the digest of its seal.';

-- sql/outbox/functions/check_topic.sql
-- Topics become subjects, keys and file fields: short, printable, no control characters.
create function outbox.check_topic(topic text) returns boolean
language plpgsql immutable strict
as $check_topic$
begin
    if topic = '' or octet_length(topic) > 255 or topic ~ '[[:cntrl:]]' then
        raise exception using
            errcode = 'OX002',
            message = 'outbox: the topic is empty, too long or holds control characters',
            hint = 'a topic is 1 to 255 bytes of printable text';
    end if;
    return true;
end
$check_topic$;

comment on function outbox.check_topic(text) is 'True; raises InvalidTopic unless the text may name a topic. Null is not looked at.';

-- sql/outbox/functions/check_key.sql
-- A key travels in headers: its length is limited for every destination alike.
create function outbox.check_key(key text) returns boolean
language plpgsql immutable strict
as $check_key$
begin
    if key = '' then
        raise exception using
            errcode = 'OX000',
            message = 'outbox: the key is empty',
            hint = 'leave the key out when messages need no order';
    elsif octet_length(key) > 1024 then
        raise exception using
            errcode = 'OX001',
            message = format('outbox: the key is %s bytes long', octet_length(key)),
            hint = 'a key is at most 1,024 bytes long';
    end if;
    return true;
end
$check_key$;

comment on function outbox.check_key(text) is 'True; raises unless the text may be a key. Null is no key.';

-- sql/outbox/functions/check_headers.sql
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

-- sql/outbox/functions/check_size.sql
-- Said at the source, not at the broker: a message that a registered destination cannot take would stop its lane. No destination
-- is registered that takes less than 64 kB, so small messages look nothing up.
create function outbox.check_size(topic text, bytes bigint) returns boolean
language plpgsql stable
as $check_size$
declare
    size_limit bigint;
begin
    if bytes <= 65536 then
        return true;
    end if;
    size_limit := least(relay.size_limit(topic), 268435456);
    if bytes > size_limit then
        raise exception using
            errcode = 'OX001',
            message = format('outbox: the message is %s bytes long, the limit is %s', bytes, size_limit),
            hint = 'send a reference to the data, or let the destination take larger messages and run its relay again';
    end if;
    return true;
end
$check_size$;

comment on function outbox.check_size(text, bigint) is 'True; raises MessageTooLarge when a registered destination could not take a message of this size.';

-- sql/outbox/functions/hold_limit.sql
-- The home of a default: how long a hold without a time of its own may last. An agent that died never closes its session.
create function outbox.hold_limit() returns interval
language sql immutable parallel safe
return interval '1 hour';

comment on function outbox.hold_limit() is 'Longest time that hold => ''close'' keeps a message back.';

-- sql/outbox/functions/longest_hold.sql
-- A held message holds its key: whoever holds one for good stops everybody's later messages of that key.
create function outbox.longest_hold() returns interval
language sql immutable parallel safe
return interval '7 days';

comment on function outbox.longest_hold() is 'Longest duration that may be given as a hold.';

-- sql/outbox/functions/release_at.sql
-- When a hold ends at the latest. Refuses what is no hold.
create function outbox.release_at(hold text, since timestamptz) returns timestamptz
language plpgsql stable strict
as $release_at$
declare
    duration interval;
begin
    if hold = 'close' then
        return since + outbox.hold_limit();
    end if;
    begin
        duration := hold::interval;
    exception when data_exception then
        duration := null;
    end;
    if duration is null or duration < interval '0' or hold !~ '[0-9]' then
        raise exception using
            errcode = 'OX000',
            message = 'outbox: no such hold',
            hint = 'a hold is ''close'' (until the session closes) or a duration such as ''30s''';
    end if;
    if duration > outbox.longest_hold() then
        raise exception using
            errcode = 'OX000',
            message = format('outbox: a message may be held for %s at the longest', outbox.longest_hold()),
            hint = 'a held message holds all later messages of its key; publish it when it is due';
    end if;
    return since + duration;
end
$release_at$;

comment on function outbox.release_at(text, timestamptz) is 'The time at which a hold ends at the latest.';

-- sql/outbox/functions/check_hold.sql
-- Every held id is carried by every seal, so their number is limited; and only a session can close.
create function outbox.check_hold(hold text, session_id uuid) returns boolean
language plpgsql stable
as $check_hold$
begin
    if hold is null then
        return true;
    elsif hold = 'close' and session_id is null then
        raise exception using
            errcode = 'OX000',
            message = 'outbox: hold ''close'' waits for a session to close, and this transaction is bound to none',
            hint = 'publish inside a step, or give a duration such as ''30s''';
    elsif 10000 <= (select cardinality(s.pending) from outbox.seal as s order by s.no desc limit 1) then
        raise exception using
            errcode = 'OX000',
            message = 'outbox: 10,000 messages are held back already',
            hint = 'close the sessions that hold messages, see outbox.backlog, or publish without a hold';
    end if;
    return true;
end
$check_hold$;

comment on function outbox.check_hold(text, uuid) is 'True; raises unless one more message may be held like this.';

-- sql/outbox/functions/attribution.sql
-- Whose message this is, and the hold it inherits; all null outside a bound session, where a named agent role is refused. The
-- journal is bound late: the outbox works without it.
create function outbox.attribution(out session_id uuid, out step_id uuid, out hold text)
language plpgsql stable
as $attribution$
begin
    if to_regprocedure('journal.bound_session()') is not null then
        select b.session_id, b.step_id into session_id, step_id from journal.bound_session() as b;
        if session_id is null and journal.is_agent() then
            perform journal.raise_unbound('publish');
        end if;
    end if;
    if session_id is not null then
        select s.hold into hold from journal.session as s where s.session_id = attribution.session_id;
    end if;
end
$attribution$;

comment on function outbox.attribution() is 'Session, step and default hold of a message published now. Raises UnboundWrite.';

-- sql/outbox/functions/add_message.sql
-- Inserts one checked message. The one place that knows how a message's slot and size come about.
create function outbox.add_message(
    topic text, key text, data jsonb, headers jsonb, type text, session_id uuid, step_id uuid,
    hold text default null, compensation jsonb default null, compensates uuid default null, caused_by uuid default null
) returns uuid
language plpgsql volatile
as $add_message$
declare
    id constant uuid := outbox.uuid7();
    moment constant timestamptz := clock_timestamp();
    size constant bigint := coalesce(octet_length(data::text), 0) + octet_length(headers::text)
                            + octet_length(topic) + coalesce(octet_length(key), 0) + octet_length(type);
    checked constant boolean := outbox.check_size(topic, size);
begin
    insert into outbox.message
        (message_id, session_id, step_id, topic, key, slot, type, data, headers, compensation, compensates, caused_by,
         hold, release_at, created_at, bytes)
    values
        (id, session_id, step_id, topic, key, outbox.slot_of(coalesce(key, id::text)), type, data, headers, compensation,
         compensates, caused_by, hold, outbox.release_at(hold, moment), moment, size);
    return id;
end
$add_message$;

comment on function outbox.add_message(text, text, jsonb, jsonb, text, uuid, uuid, text, jsonb, uuid, uuid) is
    'Inserts one message. Private; publish with outbox.publish.';

-- sql/outbox/functions/publish.sql
-- Publishes a message in the caller's transaction. Two messages of one key arrive in the order in which their transactions held an
-- exclusive lock on that key, taken before publish; never call it in the select list of a statement that locks or updates that row.
create function outbox.publish(
    topic text, key text default null, data jsonb default null, headers jsonb default '{}', type text default null,
    hold text default null, compensation jsonb default null
) returns uuid
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
as $publish$
declare
    bound record;
    effective_hold text;
    checked boolean;
    published uuid;
begin
    -- Assigned, not performed: plpgsql evaluates a simple expression several times faster than a statement.
    checked := outbox.check_topic(coalesce(topic, '')) and outbox.check_topic(type)
               and outbox.check_key(key) and outbox.check_headers(headers);
    bound := outbox.attribution();
    effective_hold := coalesce(hold, bound.hold);
    checked := outbox.check_hold(effective_hold, bound.session_id);
    published := outbox.add_message(
        topic, key, data, coalesce(headers, '{}'), coalesce(type, topic), bound.session_id, bound.step_id,
        hold => effective_hold, compensation => compensation);
    if bound.step_id is not null and current_setting('transaction_isolation') = 'serializable' then
        perform journal.note(message_id => published);
    end if;
    return published;
end
$publish$;

comment on function outbox.publish(text, text, jsonb, jsonb, text, text, jsonb) is
    'Publishes a message as part of the current transaction and returns its id. key: order is kept per key; hold: ''close'' or a duration of at most outbox.longest_hold(); a named agent role is refused outside a bound session (UnboundWrite); compensation: data of the message that takes this one back. Use "update … returning outbox.publish(…)" or a statement of its own: in "select outbox.publish(…) … for update" and "update … set x = outbox.publish(…)" Postgres may call it twice.';

-- sql/outbox/functions/take.sql
-- A consumer takes a message in the transaction of its work. Another that works on the same one is waited for.
create function outbox.take(consumer text, message_id text) returns boolean
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
as $take$
#variable_conflict use_variable
begin
    insert into outbox.inbox (consumer, message_id) values (take.consumer, take.message_id) on conflict do nothing;
    return found;
end
$take$;

comment on function outbox.take(text, text) is
    'Whether the consumer meets this message for the first time: then do the work, in this transaction. False: it was worked through before. Waits for another transaction that is at it.';

-- sql/outbox/functions/visible_between.sql
-- The messages that one snapshot sees and an earlier one does not: a range of transactions and the list of those that were still
-- running. Any simpler form reads everything above the oldest open transaction. Inlined into its callers. `id + 0`: only the index on
-- xid may be used; a plan made while the table was small walks the primary key, and goes on to when it has grown.
create function outbox.visible_between(earlier pg_snapshot, later pg_snapshot, above_id bigint) returns setof outbox.message
language sql stable
as $visible_between$
    select m.* from outbox.message as m
    where m.xid >= pg_catalog.pg_snapshot_xmax(earlier) and m.xid < pg_catalog.pg_snapshot_xmax(later)
      and pg_catalog.pg_visible_in_snapshot(m.xid, later) and m.id + 0 > above_id
    union all
    select m.* from outbox.message as m
    where m.xid = any (array(
        select x.xid from pg_catalog.pg_snapshot_xip(earlier) as x(xid) where pg_catalog.pg_visible_in_snapshot(x.xid, later)))
      and m.id + 0 > above_id
$visible_between$;

comment on function outbox.visible_between(pg_snapshot, pg_snapshot, bigint) is 'Messages above a number that were committed between two snapshots.';

-- sql/outbox/functions/members.sql
-- The members of a range of seals, a pure function of committed rows. Inlined into its callers.
create function outbox.members(first bigint, last bigint)
returns table (
    seal bigint, id bigint, message_id uuid, topic text, key text, slot smallint, type text, data jsonb, headers jsonb,
    compensates uuid, caused_by uuid, created_at timestamptz, bytes integer, lineage integer
)
language sql stable
as $members$
    select s.no, m.id, m.message_id, m.topic, m.key, m.slot, m.type, m.data, m.headers,
           m.compensates, m.caused_by, m.created_at, m.bytes, s.lineage
    from outbox.seal as s
    join outbox.seal as p on p.no = s.no - 1
    cross join lateral (
        select v.* from outbox.visible_between(p.snap, s.snap, s.from_id) as v where v.id <> all (s.pending)
        union all
        select r.* from outbox.message as r where r.id = any (s.released)
    ) as m
    where s.no between first and last
      and not exists (select from outbox.cancellation as c where c.id = m.id)
$members$;

comment on function outbox.members(bigint, bigint) is 'Members of the seals first to last, in no order; their order is (seal, id).';

-- sql/outbox/functions/raise_missing.sql
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

-- sql/outbox/functions/verify_seals.sql
-- Whether all members of these seals are still there. Count and digest of the whole span are compared first: a plan that is made once
-- serves for one message and for thousands.
create function outbox.verify_seals(first bigint, last bigint) returns void
language plpgsql stable
set search_path = pg_catalog, pg_temp
set enable_seqscan = off
set jit = off
set plan_cache_mode = force_generic_plan
as $verify_seals$
declare
    named bigint;
    named_digest bigint;
    present bigint;
    present_digest bigint;
begin
    select sum(s.members), bit_xor(s.digest) into named, named_digest from outbox.seal as s where s.no between first and last;
    select count(*), coalesce(bit_xor(outbox.hash_of(m.message_id)), 0) into present, present_digest
    from outbox.members(first, last) as m;
    if (named, named_digest) <> (present, present_digest) then
        perform outbox.raise_missing(s.no, s.members, coalesce(c.found, 0))
        from outbox.seal as s
        left join (
            select m.seal, count(*) as found, bit_xor(outbox.hash_of(m.message_id)) as digest
            from outbox.members(first, last) as m group by m.seal
        ) as c on c.seal = s.no
        where s.no between first and last and (s.members, s.digest) <> (coalesce(c.found, 0), coalesce(c.digest, 0))
        order by s.no;
    end if;
end
$verify_seals$;

comment on function outbox.verify_seals(bigint, bigint) is 'Raises SourceRewound when members of these seals are missing.';

-- sql/outbox/functions/sealed_by.sql
-- Whether a message that was not cancelled is a member of this seal or of one before it.
create function outbox.sealed_by(seal bigint, id bigint, xid xid8) returns boolean
language sql stable
set search_path = pg_catalog, pg_temp
as $sealed_by$
    select id <= s.max_id and (id <= s.from_id or pg_visible_in_snapshot(xid, s.snap)) and id <> all (s.pending)
    from outbox.seal as s where s.no = seal
$sealed_by$;

comment on function outbox.sealed_by(bigint, bigint, xid8) is 'Whether a message, not cancelled, is sealed by this seal or before.';

-- sql/outbox/functions/seal_of.sql
-- The seal of a message; readers of the views run it. It is guessed by transaction id first, and searched where the guess is wrong.
create function outbox.seal_of(id bigint, xid xid8) returns bigint
language plpgsql stable security definer
set search_path = pg_catalog, pg_temp
as $seal_of$
declare
    low bigint;
    high bigint;
begin
    if exists (select from outbox.cancellation as c where c.id = seal_of.id) then
        return null;
    end if;
    select s.no into low from outbox.seal as s
    where pg_snapshot_xmax(s.snap) > xid and s.max_id >= seal_of.id and s.from_id < seal_of.id
    order by pg_snapshot_xmax(s.snap), s.no limit 1;
    low := coalesce(low, (select min(s.no) from outbox.seal as s));
    if low is null or outbox.sealed_by(low, id, xid) then
        return low;
    end if;
    select max(s.no) into high from outbox.seal as s;
    if not outbox.sealed_by(high, id, xid) then
        return null;
    end if;
    return outbox.first_seal_holding(low, high, id, xid, null);
end
$seal_of$;

comment on function outbox.seal_of(bigint, xid8) is 'Number of the seal that a message is a member of; null when it is not sealed.';

-- sql/outbox/functions/check_may_seal.sql
-- A snapshot older than the predecessor would repeat a batch, and a transaction left open would stop sealing for all.
create function outbox.check_may_seal() returns void
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $check_may_seal$
begin
    if current_setting('transaction_isolation') <> 'read committed' then
        raise exception using
            errcode = 'OX000',
            message = 'outbox: seal works under READ COMMITTED only',
            hint = 'call it by itself, with autocommit on';
    elsif pg_current_xact_id_if_assigned() is not null then
        raise exception using
            errcode = 'OX000',
            message = 'outbox: this transaction has written already',
            hint = 'call seal by itself, with autocommit on';
    end if;
end
$check_may_seal$;

comment on function outbox.check_may_seal() is 'Raises unless the current transaction may seal.';

-- sql/outbox/functions/pending_may_move.sql
-- Whether something that was pending may have become free. Cheap, since every poll asks: looking at all pending messages is not.
create function outbox.pending_may_move(last outbox.seal) returns boolean
language sql volatile
set search_path = pg_catalog, pg_temp
as $pending_may_move$
    select cardinality(last.pending) > 0 and (
        last.lock_missed
        or last.due_at <= clock_timestamp()
        or exists (select from journal.session as s where s.session_id = any (last.waits_for) and s.status = 'closed')
        or exists (select from outbox.cancellation as c
                   where c.xid >= pg_snapshot_xmin(last.snap) and not pg_visible_in_snapshot(c.xid, last.snap)))
$pending_may_move$;

comment on function outbox.pending_may_move(outbox.seal) is 'Whether pending messages may have become free since a seal.';

-- sql/outbox/functions/check_not_rewound.sql
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

-- sql/outbox/functions/anything_to_seal.sql
-- Asks the difference itself: "the sequence has not moved" would hide a transaction that took its number early and committed late.
create function outbox.anything_to_seal() returns boolean
language plpgsql volatile
set search_path = pg_catalog, pg_temp
set enable_seqscan = off
set plan_cache_mode = force_generic_plan
as $anything_to_seal$
declare
    last outbox.seal;
begin
    select s.* into last from outbox.seal as s order by s.no desc limit 1;
    if last.no is not null then
        perform outbox.check_not_rewound(last.snap, pg_current_snapshot(), last.max_id);
    end if;
    return last.no is null
        or exists (select from outbox.visible_between(last.snap, pg_current_snapshot(), last.from_id))
        or outbox.pending_may_move(last);
end
$anything_to_seal$;

comment on function outbox.anything_to_seal() is 'Whether a seal made now could have members. Writes nothing.';

-- sql/outbox/functions/lock_sealer.sql
-- One sealer at a time. Whoever does not want to wait lets the other one do the work.
create function outbox.lock_sealer(wait boolean) returns boolean
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $lock_sealer$
begin
    if wait then
        if current_setting('lock_timeout') = '0' then
            perform set_config('lock_timeout', '10s', true);   -- somebody may have left a sealing transaction open
        end if;
        perform from outbox.sealer for update;
    else
        perform from outbox.sealer for update skip locked;
    end if;
    return found;
end
$lock_sealer$;

comment on function outbox.lock_sealer(boolean) is 'Takes the lock of sealing until the end of the transaction.';

-- sql/outbox/functions/source_identity.sql
-- What tells this history from a restored or copied one. Managed services may hide the control file: then null, and not compared.
create function outbox.source_identity(out system_identifier bigint, out timeline bigint, out database oid)
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $source_identity$
begin
    select d.oid into database from pg_database as d where d.datname = current_database();
    begin
        select c.system_identifier into system_identifier from pg_control_system() as c;
        -- pg_control_checkpoint() would still name the old timeline after a promotion.
        timeline := ('x' || left(pg_walfile_name(pg_current_wal_insert_lsn()), 8))::bit(32)::bigint;
    exception when insufficient_privilege or feature_not_supported then
        null;
    end;
end
$source_identity$;

comment on function outbox.source_identity() is 'Cluster, timeline and database, as far as this role may see them.';

-- sql/outbox/functions/lineage_in_force.sql
-- The lineage of the next seal. A failover opens a new one by itself; a copy, or a restore elsewhere, stops sealing.
create function outbox.lineage_in_force(next_seal bigint) returns integer
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $lineage_in_force$
declare
    here constant record := outbox.source_identity();
    line record;
begin
    select l.no, l.system_identifier, l.timeline, l.database into line from outbox.lineage as l order by l.no desc limit 1;
    if line.system_identifier <> here.system_identifier or line.database <> here.database or line.timeline > here.timeline then
        raise exception using
            errcode = 'RL004',
            message = 'outbox: this database is a copy, or was restored: its seals were made elsewhere',
            hint = 'make sure that the original no longer publishes, then run: relay rebase';
    end if;
    if line.no is null or line.timeline < here.timeline then
        insert into outbox.lineage (no, system_identifier, timeline, database, from_seal)
        values (coalesce(line.no, 0) + 1, here.system_identifier, here.timeline, here.database, next_seal);
    end if;
    return (select max(l.no) from outbox.lineage as l);
end
$lineage_in_force$;

comment on function outbox.lineage_in_force(bigint) is 'The lineage of the next seal; raises SourceRewound in a copy.';

-- sql/outbox/functions/first_seal.sql
-- Seal 0 sees nothing, so that every real seal has a predecessor.
create function outbox.first_seal() returns void
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $first_seal$
begin
    if not exists (select from outbox.seal) then
        insert into outbox.seal (no, lineage, snap) values (0, outbox.lineage_in_force(0), '3:3:');
    end if;
end
$first_seal$;

comment on function outbox.first_seal() is 'Makes seal 0 unless it is there.';

-- sql/outbox/functions/commit_durably.sql
-- This transaction must survive a crash once it is seen, whatever the role or the database has as its default.
create function outbox.commit_durably() returns void
language sql volatile
set search_path = pg_catalog, pg_temp
as $commit_durably$
    select set_config('synchronous_commit', 'on', true) where current_setting('synchronous_commit') <> 'remote_apply'
$commit_durably$;

comment on function outbox.commit_durably() is 'Forces synchronous commit on the current transaction.';

-- sql/outbox/functions/seal_nothing.sql
-- A seal without members of its own: what it brings stands elsewhere, or it only marks a place. Runs under the lock of sealing.
create function outbox.seal_nothing(kind text) returns bigint
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $seal_nothing$
declare
    last outbox.seal;
begin
    select s.* into last from outbox.seal as s order by s.no desc limit 1;
    perform outbox.check_not_rewound(last.snap, pg_current_snapshot(), last.max_id);
    insert into outbox.seal (no, lineage, kind, snap, pending, total, max_id, from_id, due_at, waits_for, lock_missed)
    values (last.no + 1, outbox.lineage_in_force(last.no + 1), seal_nothing.kind, last.snap, last.pending, last.total, last.max_id, last.from_id,
            last.due_at, last.waits_for, last.lock_missed);
    return last.no + 1;
end
$seal_nothing$;

comment on function outbox.seal_nothing(text) is 'Adds a seal with the snapshot of its predecessor, and returns its number.';

-- sql/outbox/functions/lock_free_sessions.sql
-- Holds the sessions of the candidates until the seal commits, so that a rollback that comes now waits and sees the seal. Those
-- that a rollback holds already are passed by: sealing never waits for anybody.
create function outbox.lock_free_sessions(last outbox.seal, snapshot pg_snapshot) returns uuid[]
language plpgsql volatile
set search_path = pg_catalog, pg_temp
set enable_seqscan = off
set plan_cache_mode = force_generic_plan
as $lock_free_sessions$
declare
    wanted uuid[];
begin
    select array_agg(distinct c.session_id) into wanted
    from (
        select v.session_id from outbox.visible_between(last.snap, snapshot, last.from_id) as v
        union all
        select m.session_id from outbox.message as m where m.id = any (last.pending)
    ) as c
    where c.session_id is not null;
    if wanted is null then
        return '{}';
    end if;
    return array(select s.session_id from journal.session as s where s.session_id = any (wanted) for key share skip locked);
end
$lock_free_sessions$;

comment on function outbox.lock_free_sessions(outbox.seal, pg_snapshot) is 'Locks the sessions of all candidates that nobody rolls back, and returns them.';

-- sql/outbox/functions/draft_plain.sql
-- The next seal where nothing waits and nothing may have to wait: no session, no hold, nothing pending, so no rollback can cancel
-- any of it either. That is the everyday case, at a fraction of the general one. Null: draft_seal has to look.
create function outbox.draft_plain(last outbox.seal, snapshot pg_snapshot) returns outbox.seal
language plpgsql volatile
set search_path = pg_catalog, pg_temp
set enable_seqscan = off
set plan_cache_mode = force_generic_plan
set jit = off
as $draft_plain$
declare
    draft outbox.seal;
    plain boolean;
begin
    if last.pending <> '{}' then
        return null;
    end if;
    select count(*), coalesce(sum(v.bytes), 0), coalesce(bit_xor(outbox.hash_of(v.message_id)), 0), min(v.id),
           greatest(last.max_id, max(v.id)), coalesce(bool_and(v.session_id is null and v.hold is null), true)
    into draft.members, draft.bytes, draft.digest, draft.min_id, draft.max_id, plain
    from outbox.visible_between(last.snap, snapshot, last.from_id) as v;
    if not plain or draft.members = 0 then
        return null;
    end if;
    draft.no := last.no + 1;
    draft.snap := snapshot;
    draft.total := last.total + draft.members;
    draft.from_id := last.from_id;
    draft.pending := '{}';
    draft.released := '{}';
    draft.waits_for := '{}';
    draft.lock_missed := false;
    return draft;
end
$draft_plain$;

comment on function outbox.draft_plain(outbox.seal, pg_snapshot) is 'The next seal when no message of it can wait or be cancelled, else null.';

-- sql/outbox/functions/draft_seal.sql
-- What the next seal will hold. A message waits when it is held, when a rollback has locked its session (a session without a row
-- was pruned, and is free), or when an earlier message of its key waits. Runs after the sessions are locked, in a new snapshot.
create function outbox.draft_seal(last outbox.seal, snapshot pg_snapshot, locked uuid[]) returns outbox.seal
language plpgsql volatile
set search_path = pg_catalog, pg_temp
set enable_seqscan = off
set plan_cache_mode = force_generic_plan
set jit = off
as $draft_seal$
declare
    draft outbox.seal;
begin
    with candidate as materialized (
        select v.id, v.message_id, v.session_id, v.key, v.hold, v.release_at, v.bytes, false as waited
        from outbox.visible_between(last.snap, snapshot, last.from_id) as v
        union all
        select m.id, m.message_id, m.session_id, m.key, m.hold, m.release_at, m.bytes, true
        from outbox.message as m where m.id = any (last.pending)
    ), judged as materialized (
        select c.*,
               coalesce(c.release_at > clock_timestamp() and not (c.hold = 'close' and s.status = 'closed'), false) as held,
               s.session_id is not null and l.session_id is null as missed
        from candidate as c
        left join journal.session as s on s.session_id = c.session_id
        left join unnest(locked) as l(session_id) on l.session_id = c.session_id
        where not exists (select from outbox.cancellation as x where x.id = c.id)
    ), first_waiting as (
        select j.key, min(j.id) as id from judged as j where (j.held or j.missed) and j.key is not null group by j.key
    ), placed as (
        select j.*, j.held or j.missed or coalesce(j.id > f.id, false) as waits
        from judged as j left join first_waiting as f on f.key = j.key
    )
    select coalesce(array_agg(p.id order by p.id) filter (where p.waits), '{}'),
           coalesce(array_agg(p.id order by p.id) filter (where p.waited and not p.waits), '{}'),
           count(*) filter (where not p.waits),
           coalesce(sum(p.bytes) filter (where not p.waits), 0),
           coalesce(bit_xor(outbox.hash_of(p.message_id)) filter (where not p.waits), 0),
           min(p.id) filter (where not p.waits),
           greatest(last.max_id, max(p.id)),
           min(p.release_at) filter (where p.held),
           coalesce(array_agg(distinct p.session_id) filter (where p.held and p.hold = 'close'), '{}'),
           coalesce(bool_or(p.missed and not p.held), false)
    into draft.pending, draft.released, draft.members, draft.bytes, draft.digest, draft.min_id, draft.max_id,
         draft.due_at, draft.waits_for, draft.lock_missed
    from placed as p;
    draft.no := last.no + 1;
    draft.snap := snapshot;
    draft.from_id := last.from_id;
    draft.total := last.total + draft.members;
    return draft;
end
$draft_seal$;

comment on function outbox.draft_seal(outbox.seal, pg_snapshot, uuid[]) is 'The next seal, not yet stored; without lineage, kind, sealer and time.';

-- sql/outbox/functions/worth_storing.sql
-- A seal without members is stored only when it takes something in or changes what is pending: polls must not grow the table.
create function outbox.worth_storing(draft outbox.seal, last outbox.seal) returns boolean
language sql volatile
set search_path = pg_catalog, pg_temp
set enable_seqscan = off
as $worth_storing$
    select draft.members > 0
        or (draft.pending, draft.waits_for, draft.lock_missed) <> (last.pending, last.waits_for, last.lock_missed)
        or draft.due_at is distinct from last.due_at
        or exists (select from outbox.visible_between(last.snap, draft.snap, last.from_id))
$worth_storing$;

comment on function outbox.worth_storing(outbox.seal, outbox.seal) is 'Whether a drafted seal says anything that its predecessor does not.';

-- sql/outbox/functions/store_seal.sql
-- The one place that writes a drafted seal.
create function outbox.store_seal(draft outbox.seal) returns bigint
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $store_seal$
begin
    insert into outbox.seal
        (no, lineage, kind, snap, pending, released, members, bytes, digest, total, min_id, max_id, from_id, due_at, waits_for, lock_missed)
    values
        (draft.no, draft.lineage, draft.kind, draft.snap, draft.pending, draft.released, draft.members, draft.bytes, draft.digest,
         draft.total, draft.min_id, draft.max_id, draft.from_id, draft.due_at, draft.waits_for, draft.lock_missed);
    return draft.no;
end
$store_seal$;

comment on function outbox.store_seal(outbox.seal) is 'Stores a drafted seal and returns its number.';

-- sql/outbox/functions/seal.sql
-- Fixes the order of what has been committed since the last seal. Predecessor and snapshot come from one statement, and the number
-- is the predecessor's plus one under a primary key: a stale sealer collides instead of repeating a batch.
create function outbox.seal(wait boolean default false) returns bigint
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
as $seal$
declare
    present record;
    last outbox.seal;
    draft outbox.seal;
begin
    perform outbox.check_may_seal();
    if not outbox.anything_to_seal() or not outbox.lock_sealer(wait) then
        return null;
    end if;
    perform outbox.commit_durably();   -- a seal that is lost after delivery would repeat it
    perform outbox.first_seal();
    select s as last, pg_current_snapshot() as snapshot into present from outbox.seal as s order by s.no desc limit 1;
    last := present.last;
    draft := outbox.draft_plain(last, present.snapshot);
    if draft.no is null then
        draft := outbox.draft_seal(last, present.snapshot, outbox.lock_free_sessions(last, present.snapshot));
        if not outbox.worth_storing(draft, last) then
            return null;
        end if;
    end if;
    draft.kind := 'snapshot';
    draft.lineage := outbox.lineage_in_force(draft.no);
    return outbox.store_seal(draft);
end
$seal$;

comment on function outbox.seal(boolean) is
    'Seals what is committed and not held, and returns the number of the new seal; null when there was nothing to seal, or another sealer is at it and wait is false. Call it by itself, with autocommit on.';

-- sql/outbox/functions/rebase.sql
-- Lets a database that was restored or copied seal again, in a lineage of its own. Its transaction ids may repeat, so snapshots from
-- before tell nothing of what is published from now on: what was not sealed is listed by number, once and for all.
create function outbox.rebase() returns bigint
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
as $rebase$
declare
    last outbox.seal;
    base outbox.seal;
    draft outbox.seal;
begin
    perform outbox.check_may_seal();
    perform set_config('lock_timeout', '10s', true) where current_setting('lock_timeout') = '0';
    lock table outbox.message in share row exclusive mode;   -- whoever is publishing finishes first
    perform outbox.lock_sealer(true);
    perform outbox.commit_durably();
    select s.* into last from outbox.seal as s order by s.no desc limit 1;
    if last.no is null then
        return null;
    end if;
    base := last;
    base.snap := pg_current_snapshot();
    base.max_id := greatest(last.max_id, (select max(m.id) from outbox.message as m), (select i.last_value from outbox.message_id as i));
    base.from_id := base.max_id;
    perform setval('outbox.message_id', greatest(base.max_id, 1));
    base.pending := array(
        select m.id from outbox.message as m
        where not outbox.sealed_by(last.no, m.id, m.xid) and not exists (select from outbox.cancellation as c where c.id = m.id));
    draft := outbox.draft_seal(base, base.snap, outbox.lock_free_sessions(base, base.snap));
    draft.kind := 'rebase';
    insert into outbox.lineage (no, system_identifier, timeline, database, from_seal)
    select last.lineage + 1, h.system_identifier, h.timeline, h.database, draft.no from outbox.source_identity() as h
    returning no into draft.lineage;
    return outbox.store_seal(draft);
end
$rebase$;

comment on function outbox.rebase() is
    'Opens a new lineage in a restored or copied database, seals what is not sealed, and returns the number of that seal; null when nothing was ever sealed. Make sure first that the original no longer publishes.';

-- sql/outbox/functions/partition_size.sql
-- The home of a default: how many messages a partition takes.
create function outbox.partition_size() returns bigint
language sql immutable parallel safe
return 1000000;

comment on function outbox.partition_size() is 'Messages in a partition of outbox.message.';

-- sql/outbox/functions/partitions.sql
-- The partitions of outbox.message with their bounds, as the catalog has them.
create function outbox.partitions() returns table (leaf regclass, from_id bigint, to_id bigint)
language sql stable
set search_path = pg_catalog, pg_temp
as $partitions$
    select c.oid::regclass, substring(b.bound from 'FROM \(''(\d+)''')::bigint, substring(b.bound from 'TO \(''(\d+)''')::bigint
    from pg_inherits as i
    join pg_class as c on c.oid = i.inhrelid
    cross join lateral (select pg_get_expr(c.relpartbound, c.oid) as bound) as b
    where i.inhparent = 'outbox.message'::regclass
$partitions$;

comment on function outbox.partitions() is 'Partitions of outbox.message: from_id is null for the first, both bounds for the one that takes what no other does.';

-- sql/outbox/functions/rotate.sql
-- Makes the next partition before it is needed. Attached, not created in place: that takes no lock that a publisher waits for. Where
-- nobody rotated in time the default partition has taken messages, and the next one begins a little later.
create function outbox.rotate(size bigint default outbox.partition_size()) returns regclass
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
as $rotate$
declare
    reached constant bigint := (select i.last_value from outbox.message_id as i);
    ends constant bigint := (select max(p.to_id) from outbox.partitions() as p);
    starts bigint := greatest(ends, 1);
    name text;
begin
    if reached + size / 2 < ends then
        return null;
    elsif reached >= ends or exists (select from outbox.message_default as d where d.id >= ends) then
        starts := reached + size / 10 + 1;
    end if;
    name := format('message_%s', starts);
    perform set_config('lock_timeout', '100ms', true);
    begin
        execute format('create table outbox.%I (like outbox.message including defaults including constraints)', name);
        execute format('comment on table outbox.%I is %L', name, 'Partition of outbox.message. Private.');
        execute format('revoke all on outbox.%I from public', name);
        execute format('alter table outbox.message attach partition outbox.%I for values from (%s) to (%s)', name, starts, starts + size);
    exception when lock_not_available or check_violation or duplicate_table then
        return null;   -- somebody reads or publishes just there: the next call is soon enough
    end;
    return format('outbox.%I', name)::regclass;
end
$rotate$;

comment on function outbox.rotate(bigint) is 'Makes the next partition of outbox.message when the last one is half full; its name, or null.';

-- sql/outbox/functions/all_sealed_by.sql
-- Whether every message of a partition is sealed, or cancelled, by this seal or before. Reads what is above the seal's oldest open
-- transaction only.
create function outbox.all_sealed_by(leaf regclass, seal bigint) returns boolean
language plpgsql stable
set search_path = pg_catalog, pg_temp
set enable_seqscan = off
as $all_sealed_by$
declare
    s outbox.seal;
    waits boolean;
begin
    select x.* into s from outbox.seal as x where x.no = seal;
    execute format(
        'select exists (
             select from %1$s as m
             where m.xid >= pg_snapshot_xmin($1) and not pg_visible_in_snapshot(m.xid, $1) and m.id > $2
             union all
             select from %1$s as m where m.id = any ($3)
                and not exists (select from outbox.cancellation as c where c.id = m.id)
             union all
             select from %1$s as m where m.id > $4)', leaf)
    into waits using s.snap, s.from_id, s.pending, s.max_id;
    return not waits;
end
$all_sealed_by$;

comment on function outbox.all_sealed_by(regclass, bigint) is 'Whether all messages of a partition are sealed by a seal or before.';

-- sql/outbox/functions/first_seal_holding.sql
-- "Sealed by n" never becomes false again, so the seal is searched by halves. `low` does not hold it, `high` does.
create function outbox.first_seal_holding(low bigint, high bigint, id bigint, xid xid8, leaf regclass) returns bigint
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $first_seal_holding$
declare
    middle bigint;
begin
    while high - low > 1 loop
        middle := (low + high) / 2;
        if (case when leaf is null then outbox.sealed_by(middle, id, xid) else outbox.all_sealed_by(leaf, middle) end) then
            high := middle;
        else
            low := middle;
        end if;
    end loop;
    return high;
end
$first_seal_holding$;

comment on function outbox.first_seal_holding(bigint, bigint, bigint, xid8, regclass) is
    'The first seal after low, up to high, by which a message (leaf is null), or all messages of a partition, are sealed.';

-- sql/outbox/functions/sealed_with.sql
-- The seal with which the last message of a partition was sealed; null when it is not at or before `latest`.
create function outbox.sealed_with(leaf regclass, latest bigint) returns bigint
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $sealed_with$
declare
    low constant bigint := (select max(s.no) from outbox.seal as s where s.no <= (select p.through_seal from outbox.pruned as p));
begin
    if not exists (select from outbox.seal as s where s.no = latest) or not outbox.all_sealed_by(leaf, latest) then
        return null;
    end if;
    return outbox.first_seal_holding(coalesce(low, 0), latest, null, null, leaf);
end
$sealed_with$;

comment on function outbox.sealed_with(regclass, bigint) is 'Number of the first seal by which all messages of a partition are sealed, up to a seal; null when there is none.';

-- sql/outbox/functions/drop_leaf.sql
-- Drops a partition whose messages were all sealed by a seal. The lock lets nobody publish, so it is taken when it is free and
-- never waited for; under it only what may have come since is looked at, for the row of a slow writer must not go with it.
create function outbox.drop_leaf(leaf regclass, seal bigint) returns boolean
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $drop_leaf$
begin
    for attempt in 1 .. 20 loop
        begin
            lock table only outbox.message in access exclusive mode nowait;
            execute format('lock table only %s in access exclusive mode nowait', leaf);
            if not outbox.all_sealed_by(leaf, seal) then
                return false;
            elsif leaf = 'outbox.message_default'::regclass then
                truncate outbox.message_default;
            else
                execute format('alter table outbox.message detach partition %s', leaf);
                execute format('drop table %s', leaf);
            end if;
            return true;
        exception when lock_not_available then
            perform pg_sleep(0.001 * attempt);
        end;
    end loop;
    return false;
end
$drop_leaf$;

comment on function outbox.drop_leaf(regclass, bigint) is 'Drops a partition of outbox.message if that can be done at once and all is sealed; whether it did.';

-- sql/outbox/functions/judge_messages.sql
-- What a rollback makes of each message: earlier cancellations first, then those of steps (or transactions outside of steps) that it leaves as they
-- are, then unsealed, then sealed. A compensation is taken back by
-- publishing its original anew, and so is what the rollbacks among the sessions had cancelled: history is only added to.
create function outbox.judge_messages(session_ids uuid[], step_ids uuid[], left_steps uuid[], left_transactions xid8[])
returns table (
    id bigint, message_id uuid, topic text, key text, type text, data jsonb, headers jsonb, compensation jsonb,
    compensates uuid, caused_by uuid, outcome text, compensation_id uuid
)
language sql stable
set search_path = pg_catalog, pg_temp
as $judge_messages$
    with last as (
        select s.snap, s.pending, s.max_id, s.from_id from outbox.seal as s order by s.no desc limit 1
    ), judged as (
        select m.*, case
            when c.id is not null then 'already_cancelled'
            when m.step_id = any (left_steps) or m.step_id is null and m.xid = any (left_transactions) then 'kept'
            when not coalesce(m.id <= l.max_id and (m.id <= l.from_id or pg_visible_in_snapshot(m.xid, l.snap)) and m.id <> all (l.pending), false) then 'cancelled'
            when m.compensation is not null or m.compensates is not null then 'compensated'
            else 'sent'
        end as outcome
        from outbox.message as m
        left join last as l on true
        left join outbox.cancellation as c on c.id = m.id
        where m.session_id = any (session_ids) and (step_ids is null or m.step_id = any (step_ids))
    )
    select j.id, j.message_id, j.topic, j.key, j.type, j.data, j.headers, j.compensation, j.compensates, j.caused_by, j.outcome,
           case when j.outcome = 'compensated' then (
               select k.message_id from outbox.message as k
               where k.compensates = j.message_id
                 and not exists (select from outbox.cancellation as x where x.id = k.id)
               order by k.id limit 1) end
    from judged as j
    union all
    select m.id, m.message_id, m.topic, m.key, m.type, m.data, m.headers, m.compensation, m.compensates, m.caused_by,
           'compensated', (
               select k.message_id from outbox.message as k
               where k.caused_by = m.message_id
                 and not exists (select from outbox.cancellation as x where x.id = k.id)
               order by k.id limit 1)
    from outbox.cancellation as c
    join outbox.message as m on m.id = c.id
    where c.rollback_id = any (session_ids) and step_ids is null and c.xid <> all (left_transactions)
$judge_messages$;

comment on function outbox.judge_messages(uuid[], uuid[], uuid[], xid8[]) is 'The outcome of taking back the messages of sessions. Private; outbox.take_back_plan shows it.';

-- sql/outbox/functions/answer_message.sql
-- Publishes what takes a sealed message back, or what brings a cancelled one or the original of a compensation to life again.
create function outbox.answer_message(answered bigint, rollback_id uuid) returns uuid
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $answer_message$
declare
    given outbox.message;
    original outbox.message;
    cancelled constant boolean := exists (select from outbox.cancellation as c where c.id = answered);
begin
    select m.* into given from outbox.message as m where m.id = answered;
    if given.compensates is null and not cancelled then
        return outbox.add_message(
            given.topic, given.key, given.compensation, given.headers, given.type || '.compensated', rollback_id, null,
            compensates => given.message_id);
    end if;
    select m.* into original from outbox.message as m
    where m.message_id = case when cancelled then given.message_id else given.compensates end;
    return outbox.add_message(
        original.topic, original.key, original.data, original.headers, original.type, rollback_id, null,
        compensation => original.compensation, caused_by => original.message_id,
        compensates => case when cancelled then original.compensates else given.message_id end);
end
$answer_message$;

comment on function outbox.answer_message(bigint, uuid) is 'Publishes the answer to a message that a rollback takes back. Private.';

-- sql/outbox/functions/take_back_plan.sql
-- What outbox.take_back would do now. Only reads: while a relay runs, a message that could be cancelled now may be sealed later.
create function outbox.take_back_plan(session_ids uuid[], step_ids uuid[], left_steps uuid[] default '{}', left_transactions xid8[] default '{}')
returns table (message_id uuid, topic text, key text, outcome text, compensation_id uuid, destinations text[])
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $take_back_plan$
begin
    return query
    select j.message_id, j.topic, j.key, j.outcome, j.compensation_id, relay.destinations_of(j.topic)
    from outbox.judge_messages(session_ids, step_ids, left_steps, left_transactions) as j
    order by j.id;
end
$take_back_plan$;

comment on function outbox.take_back_plan(uuid[], uuid[], uuid[], xid8[]) is 'What outbox.take_back would do now; changes nothing.';

-- sql/outbox/functions/take_back.sql
-- Takes back the messages of sessions in the transaction of a rollback: unsealed ones are cancelled, sealed ones get their declared
-- compensation or are residue. Locks the sessions itself, so that no sealer decides meanwhile, and judges in a later statement.
create function outbox.take_back(session_ids uuid[], step_ids uuid[], rollback_id uuid, left_steps uuid[] default '{}', left_transactions xid8[] default '{}')
returns table (message_id uuid, topic text, key text, outcome text, compensation_id uuid, destinations text[])
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $take_back$
declare
    judged record;
begin
    if current_setting('transaction_isolation') <> 'read committed' then
        raise exception using
            errcode = 'OX000',
            message = 'outbox: messages are taken back under READ COMMITTED only',
            hint = 'an older snapshot would not see the last seal';
    end if;
    perform from journal.session as s where s.session_id = any (session_ids) order by s.session_id for update;
    for judged in select j.* from outbox.judge_messages(session_ids, step_ids, left_steps, left_transactions) as j order by j.id loop
        message_id := judged.message_id;
        topic := judged.topic;
        key := judged.key;
        outcome := judged.outcome;
        compensation_id := judged.compensation_id;
        destinations := relay.destinations_of(judged.topic);
        if outcome = 'cancelled' then
            insert into outbox.cancellation (id, rollback_id) values (judged.id, take_back.rollback_id);
        elsif outcome = 'compensated' and compensation_id is null then
            compensation_id := outbox.answer_message(judged.id, take_back.rollback_id);
        end if;
        return next;
    end loop;
end
$take_back$;

comment on function outbox.take_back(uuid[], uuid[], uuid, uuid[], xid8[]) is
    'Takes back the messages of sessions (step_ids null: of all their steps) for a rollback, and says what became of each: cancelled, compensated, sent, already_cancelled, or kept: of the steps, and transactions outside of steps, that it leaves as they are.';

-- sql/outbox/functions/unsealed.sql
-- What is committed and not sealed, cancelled messages left out: reads that only, however long the history is.
create function outbox.unsealed()
returns table (message_id uuid, topic text, key text, created_at timestamptz, release_at timestamptz, bytes integer, waited boolean)
language plpgsql stable security definer
set search_path = pg_catalog, pg_temp
set enable_seqscan = off
as $unsealed$
declare
    last outbox.seal;
begin
    select s.* into last from outbox.seal as s order by s.no desc limit 1;
    return query
    select u.message_id, u.topic, u.key, u.created_at, u.release_at, u.bytes, u.waited
    from (
        select v.*, false as waited from outbox.visible_between(coalesce(last.snap, '3:3:'), pg_current_snapshot(), coalesce(last.from_id, 0)) as v
        union all
        select m.*, true from outbox.message as m where m.id = any (last.pending)
    ) as u
    where not exists (select from outbox.cancellation as c where c.id = u.id);
end
$unsealed$;

comment on function outbox.unsealed() is 'Messages that are committed and not sealed; waited: a seal has passed them by.';

-- sql/outbox/views/messages.sql
-- Every message and what became of it.
create view outbox.messages as
select m.message_id, m.topic, m.key, m.type,
       case
           when c.id is not null then 'cancelled'
           when coalesce(m.id <= l.max_id and (m.id <= l.from_id or pg_visible_in_snapshot(m.xid, l.snap)) and m.id <> all (l.pending), false) then 'sealed'
           when m.release_at > clock_timestamp() or m.id = any (l.pending) then 'held'
           else 'pending'
       end as status,
       m.session_id, m.step_id, m.xid as transaction_id, m.created_at,
       (select s.sealed_at from outbox.seal as s where s.no = outbox.seal_of(m.id, m.xid)) as sealed_at,
       m.release_at, m.hold, c.rollback_id as cancelled_by, m.compensates, m.caused_by, m.data, m.headers, m.bytes
from outbox.message as m
left join outbox.cancellation as c on c.id = m.id
left join lateral (select s.snap, s.pending, s.max_id, s.from_id from outbox.seal as s order by s.no desc limit 1) as l on true;

comment on view outbox.messages is 'Messages: published in the transaction that they tell about, then sealed, then delivered by a relay.';
comment on column outbox.messages.message_id is 'Id of the message (UUIDv7); the CloudEvents id.';
comment on column outbox.messages.topic is 'What the message is about; relays choose by it.';
comment on column outbox.messages.key is 'Messages of one key keep their order; null: no order.';
comment on column outbox.messages.type is 'CloudEvents type; the topic unless given.';
comment on column outbox.messages.status is 'pending (committed, waits for the next seal), held (waits for its hold, or behind a held message of its key), cancelled (taken back by a rollback before it was sealed) or sealed (has its place in the order; delivered, or about to be).';
comment on column outbox.messages.session_id is 'Agent session that published it; null outside sessions.';
comment on column outbox.messages.step_id is 'Step that published it; null outside steps.';
comment on column outbox.messages.transaction_id is 'Transaction that published it.';
comment on column outbox.messages.created_at is 'When it was published.';
comment on column outbox.messages.sealed_at is 'When it was sealed; null before.';
comment on column outbox.messages.release_at is 'When its hold ends at the latest; null without a hold.';
comment on column outbox.messages.hold is 'What it waits for: close (until its session closes) or a duration; null: nothing.';
comment on column outbox.messages.cancelled_by is 'Rollback that took it back before it was sealed.';
comment on column outbox.messages.compensates is 'Message that this one takes back.';
comment on column outbox.messages.caused_by is 'Message that this one publishes anew, after a rollback was rolled back.';
comment on column outbox.messages.data is 'What the message says.';
comment on column outbox.messages.headers is 'Headers that travel with it.';
comment on column outbox.messages.bytes is 'Size of data, headers, topic, type and key.';

-- sql/outbox/views/backlog.sql
-- What is committed and not sealed yet.
create view outbox.backlog as
select w.topic, w.status, count(*) as messages, sum(w.bytes)::bigint as bytes, min(w.created_at) as oldest_at,
       clock_timestamp() - min(w.created_at) as age
from (
    select u.topic, u.bytes, u.created_at,
           case when u.release_at > clock_timestamp() or u.waited then 'held' else 'pending' end as status
    from outbox.unsealed() as u
) as w
group by w.topic, w.status;

comment on view outbox.backlog is 'Messages that are committed and not sealed, by topic.';
comment on column outbox.backlog.topic is 'Topic of the messages.';
comment on column outbox.backlog.status is 'pending (sealed by the next relay that polls) or held (waits for a hold, or behind one).';
comment on column outbox.backlog.messages is 'How many.';
comment on column outbox.backlog.bytes is 'Their size.';
comment on column outbox.backlog.oldest_at is 'When the oldest was published.';
comment on column outbox.backlog.age is 'How long the oldest has waited.';


-- the relay: destinations and their positions
-- sql/relay/tables/destination.sql
-- Where relays deliver. The name is the identity: a new url under the same name keeps the cursor.
create table relay.destination (
    destination   text primary key check (destination <> '' and octet_length(destination) <= 255),
    url           text not null,
    guarantee     text not null check (guarantee in ('A', 'B', 'C', 'D')),
    max_bytes     bigint not null,
    started_from  text not null,
    on_refusal    text not null default 'park' check (on_refusal in ('park', 'dead-letter')),
    created_at    timestamptz not null default clock_timestamp(),
    paused_at     timestamptz,
    stopped_for   text,
    last_error    text,
    last_error_at timestamptz,
    recovered_at  timestamptz,
    finished_at   timestamptz,
    finished_with bigint
);

comment on table relay.destination is 'Destinations. Private; read relay.destinations.';
comment on column relay.destination.url is 'Without credentials.';
comment on column relay.destination.on_refusal is 'What becomes of a message that the destination refuses for good: parked with its key, or a dead letter whose key goes on.';
comment on column relay.destination.stopped_for is 'Why relays refuse to go on; null while they may.';
comment on column relay.destination.finished_with is 'Seal with which a replay into it ended; null for a destination that goes on.';
comment on column relay.destination.recovered_at is 'When an append succeeded after the last error.';

-- sql/relay/functions/like_patterns.sql
-- Topic patterns as LIKE has them: * stands for any text, everything else for itself.
create function relay.like_patterns(topics text[]) returns text[]
language sql immutable strict parallel safe
return (
    select array_agg(replace(replace(replace(replace(t.topic, '\', '\\'), '%', '\%'), '_', '\_'), '*', '%') order by t.place)
    from unnest(topics) with ordinality as t(topic, place));

comment on function relay.like_patterns(text[]) is 'LIKE patterns of topics with * for any text.';

-- sql/relay/tables/route.sql
-- Which messages a destination takes, by seal: the version in force is a function of the seal, so positions never move. A filter
-- that lived only on a command line would make two relays double or lose messages.
create table relay.route (
    destination text not null references relay.destination,
    version     integer not null,
    from_seal   bigint not null,
    topics      text[] not null check (cardinality(topics) > 0),
    patterns    text[] not null generated always as (relay.like_patterns(topics)) stored,
    lanes       integer not null check (lanes between 1 and 4096),
    created_at  timestamptz not null default clock_timestamp(),
    primary key (destination, version)
);

comment on table relay.route is 'Topics and lanes of each destination, from a seal on. Private; read relay.destinations.';

-- sql/relay/tables/lane.sql
-- Lease and checkpoint of each lane: one row, written at most once a second. The lease saves work, it fences nothing: only the
-- destination can refuse a relay that woke up too late.
create table relay.lane (
    destination text not null references relay.destination,
    lane        integer not null check (lane >= 0),
    epoch       bigint not null default 0,
    holder      uuid,
    holder_name text,
    lease_until timestamptz not null default '-infinity',
    seal        bigint not null,
    position    bigint not null default 0,
    passed      bigint not null default 0,
    last_seal   bigint not null default 0,
    last_id     bigint not null default 0,
    message_id  uuid,
    token       text,
    appended_at timestamptz,
    in_doubt    boolean not null default false,
    crashes     integer not null default 0,
    trying      uuid,
    primary key (destination, lane)
) with (fillfactor = 50);

comment on table relay.lane is 'Lease and checkpoint of each lane. Private; read relay.lag.';
comment on column relay.lane.seal is 'All members of this seal and of those before it are stored, or are not for this lane.';
comment on column relay.lane.position is 'Position of the last message that is stored.';
comment on column relay.lane.passed is 'Position up to which seal counts; beyond position when the last ones were set aside, before it inside a seal.';
comment on column relay.lane.last_seal is 'Seal of that message; greater than seal while a seal is delivered in parts.';
comment on column relay.lane.last_id is 'Number of that message in outbox.message.';
comment on column relay.lane.crashes is 'Relays in a row whose lease ran out here without a clean end, since the position moved or trying was written.';
comment on column relay.lane.trying is 'The message that a relay appends by itself, because others ended here without a word.';
comment on column relay.lane.token is 'What the destination calls that position.';

-- sql/relay/tables/mark.sql
-- Where a lane was at a time: insert only. Finds the place when a destination lost its tail, and says when a message arrived.
create table relay.mark (
    destination text not null,
    lane        integer not null,
    seal        bigint not null,
    position    bigint not null,
    marked_at   timestamptz not null default clock_timestamp(),
    primary key (destination, lane, seal),
    foreign key (destination, lane) references relay.lane
);

comment on table relay.mark is 'Positions that a lane passed, with the time. Private.';

-- sql/relay/tables/park.sql
-- Messages that a destination refused for good. Positions stay what the seal gave them: what is set aside leaves its position
-- empty. A parked message holds what its key brings, from its own place up to until_seal, in which a retry brings all of it again.
create table relay.park (
    destination     text not null,
    lane            integer not null,
    seal            bigint not null,
    place           bigint not null,
    until_seal      bigint,
    message_id      uuid not null,
    topic           text not null,
    key             text,
    attempts        integer not null,
    error           text not null,
    first_failed_at timestamptz not null,
    last_failed_at  timestamptz not null default clock_timestamp(),
    disposition     text not null check (disposition in ('parked', 'dead_letter')),
    reason          text,
    decided_by      text,
    primary key (destination, seal, place),
    foreign key (destination, lane) references relay.lane
);

create unique index park_key on relay.park (destination, key) where until_seal is null;
create index park_message on relay.park (destination, message_id);

comment on table relay.park is 'Refused messages. Private; read relay.parked.';
comment on column relay.park.until_seal is 'Seal in which the key goes on; null while it waits.';
comment on column relay.park.reason is 'Why an operator gave the message up.';

-- sql/relay/tables/retried.sql
-- Members of seals of kind retry: messages that were set aside at one destination and come again, at new positions.
create table relay.retried (
    seal        bigint not null,
    place       bigint not null,
    destination text not null,
    lane        integer not null,
    id          bigint not null,
    primary key (destination, seal, place),
    foreign key (destination, lane) references relay.lane
);

create index retried_message on relay.retried (destination, id);

comment on table relay.retried is 'What an operator let a destination try again. Private.';
comment on column relay.retried.id is 'Number of the message in outbox.message.';

-- sql/relay/tables/arrival.sql
-- A message that was set aside and is stored all the same: the append of a relay that was slow arrived last. Then it counts where
-- it is, and nowhere else.
create table relay.arrival (
    destination text not null references relay.destination,
    id          bigint not null,
    seal        bigint not null,
    place       bigint not null,
    found_at    timestamptz not null default clock_timestamp(),
    primary key (destination, id)
);

comment on table relay.arrival is 'Messages that were set aside and arrived. Private.';

-- sql/relay/tables/envelope.sql
-- One message as a relay reads it, in text that goes on the wire as it is.
create type relay.envelope as (
    seal        bigint,
    place       bigint,
    lane        integer,
    message_id  text,
    lineage     text,
    topic       text,
    key         text,
    type        text,
    data        text,
    headers     text,
    compensates text,
    caused_by   text,
    created_at  text,
    bytes       integer,
    aside       boolean
);

comment on type relay.envelope is 'A sealed message as relays read it. Private.';

-- sql/relay/functions/wire_time.sql
-- RFC 3339 in UTC, as CloudEvents wants it.
create function relay.wire_time(at_time timestamptz) returns text
language sql stable strict parallel safe
return to_char(at_time at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"');

comment on function relay.wire_time(timestamptz) is 'A time as it travels.';

-- sql/relay/functions/origin.sql
-- What tells the outbox of this database from every other: the first lineage. Made by the first seal.
create function relay.origin() returns uuid
language sql stable security definer
set search_path = pg_catalog, pg_temp
as $origin$
    select l.lineage_id from outbox.lineage as l order by l.no limit 1
$origin$;

comment on function relay.origin() is 'Identity of this outbox over all its lineages; null before the first seal.';

-- sql/relay/functions/knows_lineage.sql
-- A tail of another lineage was written by somebody else.
create function relay.knows_lineage(lineage uuid) returns boolean
language sql stable security definer
set search_path = pg_catalog, pg_temp
as $knows_lineage$
    select exists (select from outbox.lineage as l where l.lineage_id = lineage)
$knows_lineage$;

comment on function relay.knows_lineage(uuid) is 'Whether a lineage is one of this outbox.';

-- sql/relay/functions/size_limit.sql
-- The smallest limit of the destinations that take the topic; null when there is none.
create function relay.size_limit(topic text) returns bigint
language sql stable
set search_path = pg_catalog, pg_temp
as $size_limit$
    select min(d.max_bytes)
    from relay.destination as d
    join lateral (
        select r.patterns from relay.route as r where r.destination = d.destination order by r.version desc limit 1
    ) as r on size_limit.topic like any (r.patterns)
    where d.finished_at is null
$size_limit$;

comment on function relay.size_limit(text) is 'Largest size in bytes that all destinations of a topic take.';

-- sql/relay/functions/destinations_of.sql
-- The destinations that take a topic now.
create function relay.destinations_of(topic text) returns text[]
language sql stable
set search_path = pg_catalog, pg_temp
as $destinations_of$
    select coalesce(array_agg(d.destination order by d.destination), '{}')
    from relay.destination as d
    join lateral (
        select r.patterns from relay.route as r where r.destination = d.destination order by r.version desc limit 1
    ) as r on destinations_of.topic like any (r.patterns)
    where d.finished_at is null
$destinations_of$;

comment on function relay.destinations_of(text) is 'Names of the destinations that take a topic.';

-- sql/relay/functions/lanes_of.sql
-- How many lanes a destination has; null when it is not registered.
create function relay.lanes_of(name text) returns integer
language sql stable security definer
set search_path = pg_catalog, pg_temp
as $lanes_of$
    select r.lanes from relay.route as r where r.destination = name order by r.version desc limit 1
$lanes_of$;

comment on function relay.lanes_of(text) is 'Number of lanes of a destination.';

-- sql/relay/functions/first_seal_for.sql
-- The seal from which a new destination takes messages: the first, the next, or the first after a time.
create function relay.first_seal_for(started_from text) returns bigint
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $first_seal_for$
declare
    next_seal constant bigint := coalesce((select max(s.no) + 1 from outbox.seal as s), 1);
begin
    return case started_from
        when 'start' then (select p.through_seal + 1 from outbox.pruned as p)
        when 'now' then next_seal
        else coalesce((
            select min(s.no) from outbox.seal as s
            where s.sealed_at >= started_from::timestamptz and s.no > (select p.through_seal from outbox.pruned as p)), next_seal)
    end;
end
$first_seal_for$;

comment on function relay.first_seal_for(text) is 'Number of the first seal for a destination that starts from start, now, or a time.';

-- sql/relay/functions/check_registered.sql
-- Refuses options that differ from those of the first run.
create function relay.check_registered(name text, topics text[], lanes integer, started_from text) returns void
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
as $check_registered$
declare
    recorded record;
begin
    select r.topics, r.lanes, d.started_from into recorded
    from relay.destination as d join relay.route as r using (destination)
    where d.destination = name order by r.version desc limit 1;
    if coalesce(topics, recorded.topics) <> recorded.topics or coalesce(lanes, recorded.lanes) <> recorded.lanes
       or coalesce(started_from, recorded.started_from) <> recorded.started_from then
        raise exception using
            errcode = '22023',
            message = format('relay: %s was first run with topics %s, %s lanes, from %s', name,
                             array_to_string(recorded.topics, ' '), recorded.lanes, recorded.started_from),
            hint = 'leave the options out, or give the destination another --name';
    end if;
end
$check_registered$;

comment on function relay.check_registered(text, text[], integer, text) is 'Raises unless the options are null or as recorded.';

-- sql/relay/functions/register.sql
-- Makes a destination known, at its first run: topics, lanes and start are recorded under the lock of sealing and never taken from
-- a command line again. Null means "as recorded", or the default.
create function relay.register(
    name text, url text, guarantee text, max_bytes bigint, topics text[] default null, lanes integer default null,
    started_from text default null, on_refusal text default null
) returns boolean
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
as $register$
declare
    first_seal bigint;
begin
    perform from outbox.sealer for update;
    if exists (select from relay.destination as d where d.destination = name) then
        perform relay.check_registered(name, topics, lanes, started_from);
        update relay.destination as d
        set url = register.url, guarantee = register.guarantee, max_bytes = register.max_bytes,
            on_refusal = coalesce(register.on_refusal, d.on_refusal), finished_at = null, finished_with = null
        where d.destination = name
          and (d.url, d.guarantee, d.max_bytes, d.on_refusal, d.finished_at) is distinct from
              (register.url, register.guarantee, register.max_bytes, coalesce(register.on_refusal, d.on_refusal), null);
        return false;
    end if;
    insert into relay.destination (destination, url, guarantee, max_bytes, started_from, on_refusal)
    values (name, register.url, register.guarantee, register.max_bytes, coalesce(register.started_from, 'start'),
            coalesce(register.on_refusal, 'park'));
    first_seal := relay.first_seal_for(coalesce(register.started_from, 'start'));
    insert into relay.route (destination, version, from_seal, topics, lanes)
    values (name, 1, first_seal, coalesce(register.topics, '{*}'), coalesce(register.lanes, 1));
    insert into relay.lane (destination, lane, seal)
    select name, n, first_seal - 1 from generate_series(0, coalesce(register.lanes, 1) - 1) as n;
    return true;
end
$register$;

comment on function relay.register(text, text, text, bigint, text[], integer, text, text) is
    'Registers a destination, or checks that topics, lanes and start are as recorded; true when it is new.';

-- sql/relay/functions/is_fresh.sql
-- A destination that nothing was delivered to may be made; one that is gone afterwards was lost.
create function relay.is_fresh(name text) returns boolean
language sql stable security definer
set search_path = pg_catalog, pg_temp
as $is_fresh$
    select not exists (select from relay.lane as l where l.destination = name and l.position > 0)
$is_fresh$;

comment on function relay.is_fresh(text) is 'Whether no message was delivered to a destination yet.';

-- sql/relay/functions/is_paused.sql
-- Asked about once a second by relays that have nothing to store.
create function relay.is_paused(name text) returns boolean
language sql stable security definer
set search_path = pg_catalog, pg_temp
as $is_paused$
    select d.paused_at is not null from relay.destination as d where d.destination = name
$is_paused$;

comment on function relay.is_paused(text) is 'Whether an operator has paused a destination.';

-- sql/relay/functions/pause.sql
-- Pauses a destination, or all with null. Its relays finish the batch in flight and wait.
create function relay.pause(name text) returns text[]
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
as $pause$
declare
    paused text[];
begin
    with changed as (
        update relay.destination as d set paused_at = clock_timestamp()
        where (name is null or d.destination = name) and d.paused_at is null
        returning d.destination
    )
    select coalesce(array_agg(c.destination order by c.destination), '{}') into paused from changed as c;
    return paused;
end
$pause$;

comment on function relay.pause(text) is 'Pauses a destination (null: all) and returns the names of those that were not paused before.';

-- sql/relay/functions/resume.sql
-- Lets a paused destination, or all with null, go on.
create function relay.resume(name text) returns text[]
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
as $resume$
declare
    resumed text[];
begin
    with changed as (
        update relay.destination as d set paused_at = null
        where (name is null or d.destination = name) and d.paused_at is not null
        returning d.destination
    )
    select coalesce(array_agg(c.destination order by c.destination), '{}') into resumed from changed as c;
    return resumed;
end
$resume$;

comment on function relay.resume(text) is 'Ends the pause of a destination (null: of all) and returns the names of those that were paused.';

-- sql/relay/functions/report_error.sql
-- Remembers what went wrong, as data a DBA reads; stopped: relays will not go on by themselves.
create function relay.report_error(name text, error text, stopped boolean) returns void
language sql volatile security definer
set search_path = pg_catalog, pg_temp
as $report_error$
    update relay.destination as d
    set last_error = left(error, 2000), last_error_at = clock_timestamp(), stopped_for = case when stopped then left(error, 2000) end
    where d.destination = name
$report_error$;

comment on function relay.report_error(text, text, boolean) is 'Records the last error of a destination.';

-- sql/relay/functions/report_recovery.sql
-- An append worked again after an error.
create function relay.report_recovery(name text) returns void
language sql volatile security definer
set search_path = pg_catalog, pg_temp
as $report_recovery$
    update relay.destination as d
    set recovered_at = clock_timestamp(), stopped_for = null
    where d.destination = name and (d.stopped_for is not null or coalesce(d.recovered_at < d.last_error_at, d.last_error_at is not null))
$report_recovery$;

comment on function relay.report_recovery(text) is 'Records that a destination takes messages again.';

-- sql/relay/functions/lane_state.sql
-- A lane as it is stored now: what a relay compares with the destination's tail.
create function relay.lane_state(name text, lane integer) returns setof relay.lane
language sql stable security definer
set search_path = pg_catalog, pg_temp
as $lane_state$
    select l.* from relay.lane as l where l.destination = name and l.lane = lane_state.lane
$lane_state$;

comment on function relay.lane_state(text, integer) is 'Lease and checkpoint of a lane.';

-- sql/relay/functions/take_lane.sql
-- Takes a lane whose lease ran out, or which this holder has already. No row: somebody else has it.
create function relay.take_lane(name text, lane integer, holder uuid, holder_name text, lease interval)
returns setof relay.lane
language sql volatile security definer
set search_path = pg_catalog, pg_temp
as $take_lane$
    update relay.lane as l
    set epoch = l.epoch + 1, holder = take_lane.holder, holder_name = take_lane.holder_name,
        lease_until = clock_timestamp() + take_lane.lease,
        crashes = l.crashes + case when l.holder <> take_lane.holder then 1 else 0 end   -- whoever ends cleanly leaves no holder
    where l.destination = name and l.lane = take_lane.lane
      and (l.holder is null or l.holder = take_lane.holder or l.lease_until < clock_timestamp())
    returning l.*
$take_lane$;

comment on function relay.take_lane(text, integer, uuid, text, interval) is 'Takes the lease of a lane; the lane''s row, or none while another relay holds it.';

-- sql/relay/functions/checkpoint.sql
-- Checkpoint and renewal of the lease in one write, only for the holder of this epoch and only from the position it knows: no row
-- means that the lane is lost and everything planned for it must be dropped.
create function relay.checkpoint(
    name text, lane integer, epoch bigint, lease interval, position_before bigint,
    seal bigint, "position" bigint, passed bigint, last_seal bigint, last_id bigint, message_id uuid, token text, in_doubt boolean
) returns table (paused boolean)
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
as $checkpoint$
declare
    seal_before bigint;
begin
    perform set_config('synchronous_commit', 'off', true);   -- a checkpoint that is lost costs work, not messages
    seal_before := (select l.seal from relay.lane as l where l.destination = name and l.lane = checkpoint.lane);
    update relay.lane as l
    set lease_until = clock_timestamp() + lease, seal = checkpoint.seal, position = checkpoint."position",
        passed = checkpoint.passed,
        last_seal = checkpoint.last_seal, last_id = checkpoint.last_id, message_id = checkpoint.message_id,
        token = checkpoint.token, in_doubt = checkpoint.in_doubt,
        crashes = case when checkpoint."position" > l.position then 0 else l.crashes end,
        trying = case when checkpoint."position" > l.position then null else l.trying end,
        appended_at = case when checkpoint."position" > l.position then clock_timestamp() else l.appended_at end
    where l.destination = name and l.lane = checkpoint.lane and l.epoch = checkpoint.epoch
      and l.position = position_before;
    if not found then
        return;
    end if;
    if checkpoint.seal > seal_before then
        insert into relay.mark (destination, lane, seal, position)
        values (name, checkpoint.lane, checkpoint.seal, checkpoint.passed)
        on conflict do nothing;
    end if;
    return query select d.paused_at is not null from relay.destination as d where d.destination = name;
end
$checkpoint$;

comment on function relay.checkpoint(text, integer, bigint, interval, bigint, bigint, bigint, bigint, bigint, bigint, uuid, text, boolean) is
    'Stores how far a lane got and renews its lease; no row when the lease was lost.';

-- sql/relay/functions/try_alone.sql
-- Written before a message is appended by itself, because relays ended here without a word: whoever comes after a further one knows
-- which message it was. Counting begins anew with each message.
create function relay.try_alone(name text, lane integer, epoch bigint, message_id uuid, careful_from integer) returns boolean
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
as $try_alone$
begin
    update relay.lane as l
    set trying = try_alone.message_id,
        crashes = case when l.trying = try_alone.message_id then l.crashes else careful_from end
    where l.destination = name and l.lane = try_alone.lane and l.epoch = try_alone.epoch;
    return found;
end
$try_alone$;

comment on function relay.try_alone(text, integer, bigint, uuid, integer) is
    'Notes the message that is appended by itself; false when the lease was lost.';

-- sql/relay/functions/leave_lane.sql
-- Gives a lane back at a clean stop, so that the next relay need not wait for the lease to run out.
create function relay.leave_lane(name text, lane integer, epoch bigint) returns boolean
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
as $leave_lane$
begin
    update relay.lane as l
    set holder = null, holder_name = null, lease_until = '-infinity', crashes = 0, trying = null
    where l.destination = name and l.lane = leave_lane.lane and l.epoch = leave_lane.epoch;
    return found;
end
$leave_lane$;

comment on function relay.leave_lane(text, integer, bigint) is 'Gives up the lease of a lane; false when it was lost before.';

-- sql/relay/functions/last_seal.sql
-- The last seal that is committed.
create function relay.last_seal() returns bigint
language sql stable security definer
set search_path = pg_catalog, pg_temp
as $last_seal$
    select coalesce(max(s.no), 0) from outbox.seal as s
$last_seal$;

comment on function relay.last_seal() is 'Number of the last seal; 0 when nothing was sealed yet.';

-- sql/relay/functions/confirm.sql
-- Returns once everything that was committed before is as safe as this database makes its commits: with synchronous replication, on
-- the standby. A commit whose wait for the standby was cancelled is visible all the same, with a warning that only its session sees.
create function relay.confirm() returns void
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
as $confirm$
begin
    perform outbox.commit_durably();
    perform pg_logical_emit_message(true, 'relay', '');   -- the least that makes a commit wait
end
$confirm$;

comment on function relay.confirm() is 'Waits, at its commit, until all earlier commits are as durable as this one.';

-- sql/relay/functions/members.sql
-- What a destination takes of a range of seals: the members of its topics, and in seals of kind retry its own. Their order is
-- (seal, place). Inlined into its callers.
create function relay.members(name text, first bigint, last bigint)
returns table (
    seal bigint, place bigint, lane integer, id bigint, message_id uuid, topic text, key text, type text, data jsonb,
    headers jsonb, compensates uuid, caused_by uuid, created_at timestamptz, bytes integer, lineage integer
)
language sql stable
as $members$
    select m.seal, m.id, m.slot % r.lanes, m.id, m.message_id, m.topic, m.key, m.type, m.data,
           m.headers, m.compensates, m.caused_by, m.created_at, m.bytes, m.lineage
    from outbox.members(first, last) as m
    join lateral (
        select v.patterns, v.lanes from relay.route as v
        where v.destination = name and v.from_seal <= m.seal order by v.version desc limit 1
    ) as r on m.topic like any (r.patterns)
    union all
    select t.seal, t.place, t.lane, m.id, m.message_id, m.topic, m.key, m.type, m.data,
           m.headers, m.compensates, m.caused_by, m.created_at, m.bytes, s.lineage
    from relay.retried as t
    join outbox.seal as s on s.no = t.seal
    join outbox.message as m on m.id = t.id
    where t.destination = name and t.seal between first and last
$members$;

comment on function relay.members(text, bigint, bigint) is 'Members of the seals first to last for a destination, in no order; their order is (seal, place).';

-- sql/relay/functions/is_aside.sql
-- Whether a place stays empty: its message was refused, or waits behind a refused one of its key, or arrived at another place.
create function relay.is_aside(name text, seal bigint, place bigint, id bigint, key text) returns boolean
language sql stable security definer
set search_path = pg_catalog, pg_temp
as $is_aside$
    select coalesce(
        (select (a.seal, a.place) <> (is_aside.seal, is_aside.place) from relay.arrival as a
         where a.destination = name and a.id = is_aside.id),
        exists (
            select from relay.park as p
            where p.destination = name and (p.seal, p.place) = (is_aside.seal, is_aside.place)
            union all
            select from relay.park as p
            where p.destination = name and p.key = is_aside.key
              and (p.seal, p.place) < (is_aside.seal, is_aside.place)
              and (p.until_seal is null or p.until_seal > is_aside.seal)))
$is_aside$;

comment on function relay.is_aside(text, bigint, bigint, bigint, text) is 'Whether a member of a seal is set aside at a destination.';

-- sql/relay/functions/set_aside.sql
-- A message that the destination refused alone and for good. Only for the holder of the lane's epoch; a message that was tried
-- before keeps its history. False: the lane was lost.
create function relay.set_aside(name text, lane integer, epoch bigint, seal bigint, place bigint, message_id uuid, error text)
returns boolean
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
as $set_aside$
declare
    policy text;
    earlier relay.park;
begin
    perform from relay.lane as l
    where l.destination = name and l.lane = set_aside.lane and l.epoch = set_aside.epoch for no key update;
    if not found then
        return false;
    end if;
    perform outbox.commit_durably();   -- delivery goes on past this message
    select d.on_refusal into policy from relay.destination as d where d.destination = name;
    select p.* into earlier from relay.park as p
    where p.destination = name and p.message_id = set_aside.message_id order by p.seal desc limit 1;
    insert into relay.park (destination, lane, seal, place, until_seal, message_id, topic, key, attempts, error, first_failed_at, disposition)
    select name, set_aside.lane, set_aside.seal, set_aside.place, case policy when 'dead-letter' then set_aside.seal end,
           m.message_id, m.topic, m.key, coalesce(earlier.attempts, 0) + 1, left(set_aside.error, 2000),
           coalesce(earlier.first_failed_at, clock_timestamp()), case policy when 'dead-letter' then 'dead_letter' else 'parked' end
    from outbox.message as m where m.message_id = set_aside.message_id
    on conflict on constraint park_pkey do nothing;
    return true;
end
$set_aside$;

comment on function relay.set_aside(text, integer, bigint, bigint, bigint, uuid, text) is
    'Parks a refused message with its key, or makes it a dead letter; false when the lease was lost.';

-- sql/relay/functions/set_aside_by.sql
-- What parked messages hold up, themselves included (refused): the members of their keys from their own places on that did not
-- arrive all the same and were not given up before.
create function relay.set_aside_by(name text, parks relay.park[], last_seal bigint)
returns table (seal bigint, place bigint, lane integer, id bigint, park_seal bigint, park_place bigint, refused boolean)
language sql stable
set search_path = pg_catalog, pg_temp
set enable_seqscan = off
set jit = off
as $set_aside_by$
    select m.seal, m.place, m.lane, m.id, p.seal, p.place, (m.seal, m.place) = (p.seal, p.place)
    from unnest(parks) as p
    join relay.members(name, (select min(c.seal) from unnest(parks) as c), last_seal) as m
        on coalesce(m.key, m.message_id::text) = coalesce(p.key, p.message_id::text) and (m.seal, m.place) >= (p.seal, p.place)
    where not exists (select from relay.arrival as a where a.destination = name and a.id = m.id)
      and not exists (
          select from relay.park as d
          where (d.destination, d.seal, d.place) = (name, m.seal, m.place) and d.disposition = 'dead_letter')
$set_aside_by$;

comment on function relay.set_aside_by(text, relay.park[], bigint) is 'The messages that parked ones of a destination hold up, up to a seal.';

-- sql/relay/functions/note_arrival.sql
-- A message that was set aside was found at the destination: the append of a slow relay arrived. While its key waits, the key goes on;
-- after a retry the retried one stays out. Nothing of the key was passed over meanwhile, or that append would have been refused.
create function relay.note_arrival(name text, seal bigint, place bigint, message_id uuid) returns void
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
as $note_arrival$
begin
    perform outbox.commit_durably();
    perform from relay.park as p
    where p.destination = name and p.message_id = note_arrival.message_id for update;
    insert into relay.arrival (destination, id, seal, place)
    select name, m.id, note_arrival.seal, note_arrival.place from outbox.message as m where m.message_id = note_arrival.message_id
    on conflict do nothing;
    delete from relay.park as p
    where p.destination = name and p.message_id = note_arrival.message_id
      and (p.until_seal is null or p.until_seal = p.seal);
end
$note_arrival$;

comment on function relay.note_arrival(text, bigint, bigint, uuid) is 'Records that a message that was set aside is stored at the destination.';

-- sql/relay/functions/retry.sql
-- Lets a destination try parked messages again, with everything that waits behind them, in order and at new positions: as a seal of
-- their own, made under the lock of sealing, so that whatever the keys bring later comes after it. With a reason they are given up
-- instead, and only what waits behind them comes again.
create function relay.retry(
    name text, only_key text default null, only_message uuid default null, discard_reason text default null
) returns table (parked bigint, messages bigint)
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
set enable_seqscan = off
as $retry$
declare
    chosen relay.park[];
    new_seal bigint;
begin
    perform outbox.check_may_seal();
    perform outbox.lock_sealer(true);
    perform outbox.commit_durably();
    perform from relay.park as p where p.destination = name and p.until_seal is null for update;
    select array_agg(p) into chosen
    from relay.park as p
    where p.destination = name and p.until_seal is null
      and (only_key is null or p.key = only_key) and (only_message is null or p.message_id = only_message);
    parked := coalesce(cardinality(chosen), 0);
    messages := 0;
    if parked > 0 then
        new_seal := outbox.seal_nothing('retry');
        insert into relay.retried (seal, place, destination, lane, id)
        select new_seal, row_number() over (order by w.seal, w.place), name, w.lane, w.id
        from relay.set_aside_by(name, chosen, new_seal - 1) as w
        where not w.refused or discard_reason is null;
        get diagnostics messages = row_count;
        update relay.park as p
        set until_seal = new_seal, reason = discard_reason, decided_by = session_user,
            disposition = case when discard_reason is null then 'parked' else 'dead_letter' end
        from unnest(chosen) as c
        where (p.destination, p.seal, p.place) = (c.destination, c.seal, c.place);
    end if;
    return next;
end
$retry$;

comment on function relay.retry(text, text, uuid, text) is
    'Tries parked messages of a destination again (null: all keys, all messages), or gives them up for a reason: how many were parked, and how many come again.';

-- sql/relay/functions/parked_of.sql
-- The parked messages and dead letters of a destination, with what waits behind each: one pass over what was sealed since.
create function relay.parked_of(name text) returns table (seal bigint, place bigint, waiting bigint)
language plpgsql stable security definer
set search_path = pg_catalog, pg_temp
as $parked_of$
declare
    parks relay.park[];
begin
    select array_agg(p) into parks from relay.park as p where p.destination = name and p.until_seal is null;
    return query
    select p.seal, p.place, 0::bigint from relay.park as p
    where p.destination = name and p.disposition = 'dead_letter'
    union all
    select w.park_seal, w.park_place, count(*) filter (where not w.refused)
    from relay.set_aside_by(name, parks, (select max(s.no) from outbox.seal as s)) as w
    group by w.park_seal, w.park_place;
end
$parked_of$;

comment on function relay.parked_of(text) is 'Places of what a destination refused, and how many messages wait behind each.';

-- sql/relay/functions/next_seals.sql
-- How many of the next seals fit into one read. Not whole: the next seal alone is larger, and is read in parts.
create function relay.next_seals(name text, after_seal bigint, max_members bigint, max_bytes bigint)
returns table (through bigint, whole boolean)
language plpgsql stable
set search_path = pg_catalog, pg_temp
set plan_cache_mode = force_generic_plan
as $next_seals$
begin
    if not exists (select from outbox.seal as s where s.no > after_seal) then
        return;
    end if;
    select max(a.no) into through
    from (
        select s.no, sum(s.members + coalesce(t.members, 0)) over upto as members, sum(s.bytes + coalesce(t.bytes, 0)) over upto as bytes
        from (
            select n.no, n.kind, n.members, n.bytes from outbox.seal as n where n.no > after_seal order by n.no limit 1000
        ) as s
        left join lateral (
            select count(*) as members, sum(m.bytes) as bytes
            from relay.retried as r join outbox.message as m on m.id = r.id
            where s.kind = 'retry' and r.destination = name and r.seal = s.no
        ) as t on true
        window upto as (order by s.no)
    ) as a
    where a.members <= max_members and a.bytes <= max_bytes;
    whole := through is not null;
    through := coalesce(through, after_seal + 1);
    return next;
end
$next_seals$;

comment on function relay.next_seals(text, bigint, bigint, bigint) is 'The last of the next seals whose members fit the limits together; no row when there is no further seal.';

-- sql/relay/functions/read_retried.sql
-- The members of seals of kind retry: what an operator lets a destination try again.
create function relay.read_retried(name text, only_lanes integer[], first bigint, last bigint, after_place bigint)
returns setof relay.envelope
language sql stable
set search_path = pg_catalog, pg_temp
as $read_retried$
    select t.seal, t.place, t.lane, m.message_id::text, g.lineage_id::text, m.topic, m.key, m.type, m.data::text,
           m.headers::text, m.compensates::text, m.caused_by::text, relay.wire_time(m.created_at), m.bytes,
           relay.is_aside(name, t.seal, t.place, t.id, m.key)
    from relay.retried as t
    join outbox.seal as s on s.no = t.seal
    join outbox.lineage as g on g.no = s.lineage
    join outbox.message as m on m.id = t.id
    where t.destination = name and t.seal between first and last and t.lane = any (only_lanes) and t.place > after_place
$read_retried$;

comment on function relay.read_retried(text, integer[], bigint, bigint, bigint) is 'Messages of retries of a destination, after a place, in no order.';

-- sql/relay/functions/read_seals.sql
-- The messages of whole seals for some lanes of a destination, after making sure that none is missing. In no order: to sort, or to
-- keep, whole messages here costs more than to read them.
create function relay.read_seals(name text, only_lanes integer[], first bigint, last bigint, verify boolean default true)
returns setof relay.envelope
language plpgsql stable security definer
set search_path = pg_catalog, pg_temp
set enable_seqscan = off
set plan_cache_mode = force_generic_plan
set jit = off
as $read_seals$
declare
    parks constant boolean := exists (select from relay.park as p where p.destination = name);
begin
    if verify then
        perform outbox.verify_seals(first, last);
    end if;
    return query
    select m.seal, m.id, m.slot % r.lanes, m.message_id::text, g.lineage_id::text, m.topic, m.key, m.type, m.data::text,
           m.headers::text, m.compensates::text, m.caused_by::text, relay.wire_time(m.created_at), m.bytes,
           parks and relay.is_aside(name, m.seal, m.id, m.id, m.key)
    from outbox.members(first, last) as m
    join outbox.lineage as g on g.no = m.lineage
    join lateral (
        select v.patterns, v.lanes from relay.route as v
        where v.destination = name and v.from_seal <= m.seal order by v.version desc limit 1
    ) as r on m.topic like any (r.patterns) and m.slot % r.lanes = any (only_lanes);
    if parks then
        return query select t.* from relay.read_retried(name, only_lanes, first, last, 0) as t;
    end if;
end
$read_seals$;

comment on function relay.read_seals(text, integer[], bigint, bigint, boolean) is 'Messages of the seals first to last for some lanes of a destination; their order is (seal, place).';

-- sql/relay/functions/next_messages.sql
-- Seals what is there, if asked to, and reads on: one round trip, whether anything came or not. Nothing at all: no further seal. A
-- row without a message: seals that hold nothing for these lanes, or (not whole) one that is too large and is read in parts.
create function relay.next_messages(
    name text, only_lanes integer[], after_seal bigint, until_seal bigint, max_members bigint, max_bytes bigint, and_seal boolean
) returns table (
    through bigint, whole boolean, seal bigint, place bigint, lane integer, message_id text, lineage text, topic text, key text,
    type text, data text, headers text, compensates text, caused_by text, created_at text, bytes integer, aside boolean
)
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
set plan_cache_mode = force_generic_plan
as $next_messages$
declare
    made bigint;
begin
    if and_seal then
        made := outbox.seal();
    end if;
    if made = after_seal + 1 then   -- the everyday case: nothing else is there to be counted together
        select s.no, s.members <= max_members and s.bytes <= max_bytes into through, whole from outbox.seal as s where s.no = made;
    else
        select least(n.through, until_seal), n.whole into through, whole
        from relay.next_seals(name, after_seal, max_members * relay.lanes_of(name), max_bytes) as n;   -- a lane gets its share of them
    end if;
    if through is null then
        return;
    elsif whole then
        return query
        select next_messages.through, true, e.*
        from relay.read_seals(
            name, only_lanes, after_seal + 1, next_messages.through,
            verify => made is distinct from after_seal + 1) as e;   -- what was counted a moment ago need not be counted again
        if found then
            return;
        end if;
    end if;
    return next;
end
$next_messages$;

comment on function relay.next_messages(text, integer[], bigint, bigint, bigint, bigint, boolean) is
    'The messages of the next seals that fit the limits together, up to until_seal (null: all there are), and in each row the last of these seals.';

-- sql/relay/functions/read_part.sql
-- A part of a large seal, by primary key between its lowest and highest message: paging by the difference of snapshots would read
-- the whole seal for every page.
create function relay.read_part(
    name text, only_lanes integer[], part_of bigint, after_place bigint, max_members integer, max_bytes bigint, verify boolean
)
returns setof relay.envelope
language plpgsql stable security definer
set search_path = pg_catalog, pg_temp
set enable_seqscan = off
set plan_cache_mode = force_generic_plan
set jit = off
as $read_part$
declare
    parks constant boolean := exists (select from relay.park as p where p.destination = name);
begin
    if verify then
        perform outbox.verify_seals(part_of, part_of);
    end if;
    return query
    with part as (
        select m.id, s.lineage, m.slot % r.lanes as lane, m.bytes
        from outbox.seal as s
        join outbox.seal as p on p.no = s.no - 1
        join lateral (
            select v.patterns, v.lanes from relay.route as v
            where v.destination = name and v.from_seal <= s.no order by v.version desc limit 1
        ) as r on true
        join outbox.message as m on m.id > after_place and m.id between s.min_id and s.max_id
        where s.no = part_of
          and (pg_visible_in_snapshot(m.xid, s.snap) and not pg_visible_in_snapshot(m.xid, p.snap)
               and m.id > s.from_id and m.id <> all (s.pending)
               or m.id = any (s.released))
          and not exists (select from outbox.cancellation as c where c.id = m.id)
          and m.topic like any (r.patterns) and m.slot % r.lanes = any (only_lanes)
        order by m.id limit max_members
    ), summed as (
        select p.id, p.lineage, p.lane, row_number() over upto as number, sum(p.bytes) over upto as bytes
        from part as p window upto as (order by p.id)
    )
    select part_of, m.id, s.lane, m.message_id::text, g.lineage_id::text, m.topic, m.key, m.type, m.data::text,
           m.headers::text, m.compensates::text, m.caused_by::text, relay.wire_time(m.created_at), m.bytes,
           parks and relay.is_aside(name, part_of, m.id, m.id, m.key)
    from summed as s
    join outbox.message as m on m.id = s.id
    join outbox.lineage as g on g.no = s.lineage
    where s.number = 1 or s.bytes <= max_bytes
    order by m.id;
    if parks then
        return query
        select t.* from relay.read_retried(name, only_lanes, part_of, part_of, after_place) as t order by t.place limit max_members;
    end if;
end
$read_part$;

comment on function relay.read_part(text, integer[], bigint, bigint, integer, bigint, boolean) is
    'The next messages of one seal after a place, at most so many and so large; none when the seal is read.';

-- sql/relay/functions/lane_backlog.sql
-- What is sealed for a lane and not yet delivered or set aside. Counts seals where it can, messages only where topics, lanes or
-- retries part them.
create function relay.lane_backlog(name text, lane integer) returns table (behind bigint, oldest_at timestamptz)
language plpgsql stable security definer
set search_path = pg_catalog, pg_temp
set enable_seqscan = off
as $lane_backlog$
declare
    route record;
    here record;
begin
    select r.* into route from relay.route as r where r.destination = name order by r.version desc limit 1;
    select l.*, greatest(l.seal, route.from_seal - 1) as through, greatest(l.position - l.passed, 0) as within into here
    from relay.lane as l where l.destination = name and l.lane = lane_backlog.lane;
    if exists (select from relay.destination as d where d.destination = name and d.finished_with is not null) then
        behind := 0;
        return next;
        return;
    elsif route.version = 1 and route.topics = '{*}' and route.lanes = 1 then
        behind := coalesce((select s.total from outbox.seal as s order by s.no desc limit 1), 0)
                - coalesce((select s.total from outbox.seal as s where s.no = here.through), 0)
                + (select count(*) from relay.retried as t where t.destination = name and t.seal > here.through)
                - here.within;
        oldest_at := (
            select s.sealed_at from outbox.seal as s
            where s.no > here.seal and behind > 0
              and (s.members > 0 or exists (select from relay.retried as t where t.destination = name and t.seal = s.no))
            order by s.no limit 1);
        return next;
        return;
    end if;
    return query
    select count(*), min(s.sealed_at)
    from relay.members(name, here.seal + 1, (select max(s.no) from outbox.seal as s)) as m
    join outbox.seal as s on s.no = m.seal
    where m.lane = lane_backlog.lane and (m.seal, m.place) > (here.last_seal, here.last_id);
end
$lane_backlog$;

comment on function relay.lane_backlog(text, integer) is 'Messages sealed for a lane and not stored at its destination, and when the oldest was sealed.';

-- sql/relay/functions/position_of.sql
-- Position of a place in a lane: counted from the nearest mark, since it is stored nowhere.
create function relay.position_of(name text, lane integer, seal bigint, place bigint) returns bigint
language plpgsql stable security definer
set search_path = pg_catalog, pg_temp
set enable_seqscan = off
as $position_of$
declare
    from_seal bigint;
    counted bigint;
begin
    select k.seal, k.position into from_seal, counted
    from relay.mark as k
    where k.destination = name and k.lane = position_of.lane and k.seal < position_of.seal
    order by k.seal desc limit 1;
    return coalesce(counted, 0) + (
        select count(*)
        from relay.members(name, coalesce(from_seal, 0) + 1, position_of.seal) as m
        where m.lane = position_of.lane and (m.seal, m.place) <= (position_of.seal, position_of.place));
end
$position_of$;

comment on function relay.position_of(text, integer, bigint, bigint) is 'Position of a message in a lane of a destination, or of the last one in front of a place.';

-- sql/relay/functions/move_lane.sql
-- Puts a lane where an operator decided that it stands. Positions go on from there: what was counted behind it is forgotten.
create function relay.move_lane(
    name text, lane integer, epoch bigint, seal bigint, "position" bigint, passed bigint, last_seal bigint, last_id bigint,
    message_id uuid, token text
) returns boolean
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
as $move_lane$
begin
    perform outbox.commit_durably();
    update relay.lane as l
    set seal = move_lane.seal, position = move_lane."position", passed = move_lane.passed, last_seal = move_lane.last_seal,
        last_id = move_lane.last_id, message_id = move_lane.message_id, token = move_lane.token, in_doubt = false
    where l.destination = name and l.lane = move_lane.lane and l.epoch = move_lane.epoch;
    if not found then
        return false;
    end if;
    delete from relay.mark as k where k.destination = name and k.lane = move_lane.lane and k.seal >= move_lane.seal;
    if move_lane.seal > 0 then
        insert into relay.mark (destination, lane, seal, position) values (name, move_lane.lane, move_lane.seal, move_lane.passed);
    end if;
    perform relay.report_recovery(name);
    return true;
end
$move_lane$;

comment on function relay.move_lane(text, integer, bigint, bigint, bigint, bigint, bigint, bigint, uuid, text) is
    'Moves a lane to a place, for the holder of its epoch; false when the lease was lost.';

-- sql/relay/functions/nearest_mark.sql
-- A place from which a position is found by counting on.
create function relay.nearest_mark(name text, lane integer, "position" bigint) returns table (seal bigint, passed bigint)
language sql stable security definer
set search_path = pg_catalog, pg_temp
as $nearest_mark$
    select k.seal, k.position from relay.mark as k
    where k.destination = name and k.lane = nearest_mark.lane and k.position <= nearest_mark."position"
    order by k.seal desc limit 1
$nearest_mark$;

comment on function relay.nearest_mark(text, integer, bigint) is 'The last mark of a lane that is not beyond a position; no row when there is none.';

-- sql/relay/functions/last_seal_of.sql
-- Where a lineage ends: its seals are shared history, whatever a later lineage made of it.
create function relay.last_seal_of(lineage uuid) returns bigint
language sql stable security definer
set search_path = pg_catalog, pg_temp
as $last_seal_of$
    select coalesce(
        (select n.from_seal - 1 from outbox.lineage as n where n.no > l.no order by n.no limit 1),
        (select max(s.no) from outbox.seal as s))
    from outbox.lineage as l where l.lineage_id = lineage
$last_seal_of$;

comment on function relay.last_seal_of(uuid) is 'Number of the last seal of a lineage; null when it is not one of ours.';

-- sql/relay/functions/is_open_lineage.sql
-- The lineage of what is sealed now.
create function relay.is_open_lineage(lineage uuid) returns boolean
language sql stable security definer
set search_path = pg_catalog, pg_temp
as $is_open_lineage$
    select lineage = (select l.lineage_id from outbox.lineage as l order by l.no desc limit 1)
$is_open_lineage$;

comment on function relay.is_open_lineage(uuid) is 'Whether new seals are of this lineage.';

-- sql/relay/functions/needs_rebase.sql
-- Whether this database was restored or copied since its last seal, so that it may not seal by itself.
create function relay.needs_rebase() returns boolean
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
as $needs_rebase$
declare
    last outbox.seal;
    line outbox.lineage;
    here constant record := outbox.source_identity();
begin
    select s.* into last from outbox.seal as s order by s.no desc limit 1;
    select l.* into line from outbox.lineage as l order by l.no desc limit 1;
    if coalesce(line.system_identifier <> here.system_identifier or line.database <> here.database or line.timeline > here.timeline, false) then
        return true;
    end if;
    if last.no is not null then
        perform outbox.check_not_rewound(last.snap, pg_current_snapshot(), last.max_id);
    end if;
    return false;
exception when sqlstate 'RL004' then
    return true;
end
$needs_rebase$;

comment on function relay.needs_rebase() is 'Whether outbox.seal refuses because this database was restored or copied.';

-- sql/relay/functions/url_of.sql
-- Where a destination is; null when it is not registered.
create function relay.url_of(name text) returns text
language sql stable security definer
set search_path = pg_catalog, pg_temp
as $url_of$
    select d.url from relay.destination as d where d.destination = name
$url_of$;

comment on function relay.url_of(text) is 'The URL of a destination, without credentials.';

-- sql/relay/functions/last_seal_at.sql
-- The last seal that was made at a time or before it.
create function relay.last_seal_at(moment timestamptz) returns bigint
language sql stable security definer
set search_path = pg_catalog, pg_temp
as $last_seal_at$
    select coalesce((select s.no from outbox.seal as s where s.sealed_at <= moment order by s.sealed_at desc, s.no desc limit 1), 0)
$last_seal_at$;

comment on function relay.last_seal_at(timestamptz) is 'Number of the last seal made up to a time; 0 when there is none.';

-- sql/relay/functions/finish.sql
-- A replay is done: nothing is kept for this destination, and nothing is missing at it, until somebody runs it again.
create function relay.finish(name text, seal bigint) returns void
language sql volatile security definer
set search_path = pg_catalog, pg_temp
as $finish$
    update relay.destination as d set finished_at = clock_timestamp(), finished_with = seal where d.destination = name
$finish$;

comment on function relay.finish(text, bigint) is 'Records that a replay into a destination is done.';

-- sql/relay/functions/keep.sql
-- The home of a default: how long messages are kept after the slowest destination has passed them.
create function relay.keep() returns interval
language sql immutable parallel safe
return interval '7 days';

comment on function relay.keep() is 'How long delivered messages are kept.';

-- sql/relay/functions/shortest_keep.sql
-- An operator may keep delivered messages for a shorter time, but not take them from a consumer that has just been restored: that
-- is for the owner.
create function relay.shortest_keep() returns interval
language sql immutable parallel safe
return interval '1 hour';

comment on function relay.shortest_keep() is 'The shortest time that anybody but the owner of the schema relay may let relay.prune keep delivered messages.';

-- sql/relay/functions/passed_seal.sql
-- The last seal that every lane of every destination had passed at a time, or begins after. Null where there is no destination: then nobody has read
-- anything yet.
create function relay.passed_seal(moment timestamptz) returns bigint
language sql stable
set search_path = pg_catalog, pg_temp
as $passed_seal$
    select min(coalesce((
        select max(k.seal) from relay.mark as k
        where k.destination = l.destination and k.lane = l.lane and k.marked_at <= moment),
        (select min(r.from_seal) - 1 from relay.route as r where r.destination = l.destination)))
    from relay.lane as l
    join relay.destination as d on d.destination = l.destination and d.finished_with is null
$passed_seal$;

comment on function relay.passed_seal(timestamptz) is 'The last seal that all destinations had passed at a time; null without a destination.';

-- sql/relay/functions/is_awaited.sql
-- Whether a message of these numbers may still be delivered: parked, behind a parked one, or tried again.
create function relay.is_awaited(from_id bigint, to_id bigint, seal bigint) returns boolean
language sql stable
set search_path = pg_catalog, pg_temp
as $is_awaited$
    select exists (
        select from relay.park as p where p.until_seal is null and p.seal <= is_awaited.seal
        union all
        select from relay.retried as t
        join relay.lane as l on l.destination = t.destination and l.lane = t.lane
        where t.id >= from_id and t.id < to_id
          and (t.seal > l.seal or exists (
              select from relay.park as p
              where p.destination = t.destination and p.until_seal is null and p.seal <= t.seal)))
$is_awaited$;

comment on function relay.is_awaited(bigint, bigint, bigint) is 'Whether messages of a span of numbers, sealed up to a seal, are set aside and may come again.';

-- sql/relay/functions/forget_seals.sql
-- Seals, marks and cancellations of dropped messages go in small numbers, so that no transaction is long. The last seal that is not
-- whole stays: the next one is told apart by its snapshot.
create function relay.forget_seals() returns void
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $forget_seals$
declare
    pruned outbox.pruned;
begin
    select p.* into pruned from outbox.pruned as p;
    delete from outbox.seal as s
    where s.no in (select x.no from outbox.seal as x where x.no < pruned.through_seal order by x.no limit 10000);
    delete from relay.mark as k
    where (k.destination, k.lane, k.seal) in (
        select x.destination, x.lane, x.seal from relay.mark as x where x.seal < pruned.through_seal limit 10000);
    delete from outbox.cancellation as c
    where c.id in (select x.id from outbox.cancellation as x where x.id <= pruned.through_id order by x.id limit 10000);
end
$forget_seals$;

comment on function relay.forget_seals() is 'Deletes seals, marks and cancellations of messages that were dropped.';

-- sql/relay/functions/prune.sql
-- Drops the oldest partition of messages that every destination passed long enough ago, with its seals and marks. Nothing unread
-- ever goes: a destination that stands still keeps everything, and relay.status says so.
create function relay.prune(keep interval default relay.keep()) returns text
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
as $prune$
declare
    passed constant bigint := relay.passed_seal(clock_timestamp() - keep);
    oldest record;
    through bigint;
begin
    if keep < relay.shortest_keep()
       and not pg_has_role(journal.caller(), (select n.nspowner from pg_namespace as n where n.nspname = 'relay'), 'usage') then
        raise exception using
            errcode = '42501',
            message = format('relay: delivered messages are kept for %s at the shortest', relay.shortest_keep()),
            hint = 'only the owner of the schema relay may drop younger ones';
    end if;
    begin
        lock table relay.mark in share update exclusive mode nowait;   -- one at a time; checkpoints go on
    exception when lock_not_available then
        return null;
    end;
    perform relay.forget_seals();
    select p.leaf, p.leaf::text as name, coalesce(p.from_id, 0) as from_id,
           coalesce(p.to_id, (select max(d.id) + 1 from outbox.message_default as d)) as to_id
    into oldest
    from outbox.partitions() as p
    where p.to_id <= (select i.last_value from outbox.message_id as i)
       or p.to_id is null and exists (select from outbox.message_default)
    order by p.to_id limit 1;
    if oldest.leaf is null then
        return null;
    end if;
    through := outbox.sealed_with(oldest.leaf, passed);
    if through is null or relay.is_awaited(oldest.from_id, oldest.to_id, through) then
        return null;
    end if;
    -- Positions are counted from marks, and what is dropped can no longer be counted.
    insert into relay.mark (destination, lane, seal, position)
    select l.destination, l.lane, through, relay.position_of(l.destination, l.lane, through, 9223372036854775807)
    from relay.lane as l
    on conflict do nothing;
    if not outbox.drop_leaf(oldest.leaf, through) then
        raise exception using errcode = 'lock_not_available', message = 'relay: somebody publishes just now';
    end if;
    update outbox.pruned as p
    set through_seal = greatest(p.through_seal, through), through_id = oldest.to_id - 1, pruned_at = clock_timestamp();
    return oldest.name;
exception when lock_not_available then
    return null;
end
$prune$;

comment on function relay.prune(interval) is 'Drops the oldest partition of messages that all destinations passed this long ago; the partition, or null when there is none or somebody publishes just now.';

-- sql/relay/functions/left_over.sql
-- What a drain leaves behind: messages that wait for their hold, and those that this destination refused.
create function relay.left_over(name text) returns table (held bigint, parked bigint)
language sql stable security definer
set search_path = pg_catalog, pg_temp
as $left_over$
    select coalesce((select sum(b.messages) from outbox.backlog as b where b.status = 'held'), 0)::bigint,
           (select count(*) from relay.park as p where p.destination = name and p.until_seal is null)
$left_over$;

comment on function relay.left_over(text) is 'Messages that are held, and messages parked at a destination.';

-- sql/relay/views/destinations.sql
-- Each destination and how it does.
create view relay.destinations as
select d.destination, d.url, d.guarantee, r.topics, r.lanes,
       case
           when d.paused_at is not null then 'paused'
           when d.stopped_for is not null or l.live = 0 then 'stopped'
           when d.last_error_at > coalesce(d.recovered_at, '-infinity') then 'failing'
           else 'running'
       end as status,
       case
           when d.paused_at is not null then format('paused at %s; go on with: relay resume %s', d.paused_at, d.destination)
           when d.stopped_for is not null then d.stopped_for
           when d.finished_at is not null then format('its replay was done at %s', d.finished_at)
           when l.live = 0 then format('no relay is running; start one with: relay run %s --name %s', d.url, d.destination)
           when d.last_error_at > coalesce(d.recovered_at, '-infinity') then d.last_error
       end as status_reason,
       g.lineage_id as lineage, d.created_at, l.last_append_at, d.last_error_at, d.last_error
from relay.destination as d
join lateral (
    select v.topics, v.lanes from relay.route as v where v.destination = d.destination order by v.version desc limit 1
) as r on true
join lateral (
    select max(n.appended_at) as last_append_at, count(*) filter (where n.lease_until > clock_timestamp()) as live
    from relay.lane as n where n.destination = d.destination
) as l on true
left join lateral (
    select n.lineage_id from outbox.lineage as n order by n.no desc limit 1
) as g on true;

comment on view relay.destinations is 'Destinations of messages.';
comment on column relay.destinations.destination is 'Name of the destination; its identity.';
comment on column relay.destinations.url is 'Where it is, without credentials.';
comment on column relay.destinations.guarantee is 'A (conditional append: exactly once), B (the destination drops repeats by number), C (within a time window), D (none: the receiver must drop repeats).';
comment on column relay.destinations.topics is 'Patterns of the topics that it takes; * stands for any text.';
comment on column relay.destinations.lanes is 'Number of lanes.';
comment on column relay.destinations.status is 'running, paused (by an operator), stopped (no relay runs, or relays refuse to go on) or failing (relays retry).';
comment on column relay.destinations.status_reason is 'Why it does not run, and what to do; null while it runs.';
comment on column relay.destinations.lineage is 'Lineage of the messages that are sealed now.';
comment on column relay.destinations.created_at is 'When it was first run.';
comment on column relay.destinations.last_append_at is 'When something was stored there, to a second or so.';
comment on column relay.destinations.last_error_at is 'When the last error happened.';
comment on column relay.destinations.last_error is 'The last error.';

-- sql/relay/views/lag.sql
-- How far each lane of each destination got.
create view relay.lag as
select l.destination, l.lane, l.position, greatest(l.position, l.passed) + b.behind as sealed_position, b.behind, b.oldest_at,
       case when b.behind > 0 then clock_timestamp() - b.oldest_at else interval '0' end as lag,
       l.holder_name as leaseholder, nullif(l.lease_until, '-infinity') as lease_until, l.epoch, l.in_doubt,
       (select count(*) from relay.park as p where p.destination = l.destination and p.lane = l.lane and p.until_seal is null) as parked
from relay.lane as l
cross join lateral relay.lane_backlog(l.destination, l.lane) as b;

comment on view relay.lag is 'How far each lane of each destination got; a running relay writes it about once a second.';
comment on column relay.lag.destination is 'Name of the destination.';
comment on column relay.lag.lane is 'Number of the lane, from 0.';
comment on column relay.lag.position is 'Position of the last message stored there.';
comment on column relay.lag.sealed_position is 'Position of the last message sealed for this lane.';
comment on column relay.lag.behind is 'Messages sealed and not stored.';
comment on column relay.lag.oldest_at is 'When the oldest of them was sealed.';
comment on column relay.lag.lag is 'How long the oldest of them has waited.';
comment on column relay.lag.leaseholder is 'Host and process of the relay that serves the lane; null: none.';
comment on column relay.lag.lease_until is 'Until when it may be sure of that.';
comment on column relay.lag.epoch is 'How often the lane changed hands.';
comment on column relay.lag.in_doubt is 'Whether the outcome of the last append is unknown; the relay reads back before it goes on.';
comment on column relay.lag.parked is 'Messages that the destination refused and that were set aside.';

-- sql/relay/views/deliveries.sql
-- Where each sealed message went. One that was retried counts at its last place.
create view relay.deliveries as
select m.message_id, r.destination, l.lane, relay.position_of(r.destination, l.lane, w.seal, w.place) as position,
       case
           when w.aside then coalesce(p.disposition, 'waiting')
           when w.seal <= l.seal or (w.seal, w.place) <= (l.last_seal, l.last_id) then 'delivered'
           else 'waiting'
       end as status,
       s.sealed_at,
       case when not w.aside and (w.seal <= l.seal or (w.seal, w.place) <= (l.last_seal, l.last_id)) then coalesce(
           (select k.marked_at from relay.mark as k
            where k.destination = l.destination and k.lane = l.lane and k.seal >= w.seal order by k.seal limit 1),
           l.appended_at) end as delivered_at
from outbox.message as m
cross join lateral (select outbox.seal_of(m.id, m.xid) as no) as q
join outbox.seal as s on s.no = q.no
join relay.route as r on r.from_seal <= s.no and m.topic like any (r.patterns)
     and not exists (
         select from relay.route as v
         where v.destination = r.destination and v.version > r.version and v.from_seal <= s.no)
join relay.destination as d on d.destination = r.destination and s.no <= coalesce(d.finished_with, s.no)
join relay.lane as l on l.destination = r.destination and l.lane = m.slot % r.lanes
cross join lateral (
    select o.seal, o.place, relay.is_aside(r.destination, o.seal, o.place, m.id, m.key) as aside
    from (
        select a.seal, a.place, 1 as rank from relay.arrival as a where a.destination = r.destination and a.id = m.id
        union all
        select t.seal, t.place, 2 from relay.retried as t where t.destination = r.destination and t.id = m.id
        union all
        select s.no, m.id, 3
    ) as o
    order by o.rank, o.seal desc limit 1
) as w
left join relay.park as p on (p.destination, p.seal, p.place) = (r.destination, w.seal, w.place);

comment on view relay.deliveries is 'Sealed messages by destination. Filter by message_id: positions are counted, not stored.';
comment on column relay.deliveries.message_id is 'Id of the message.';
comment on column relay.deliveries.destination is 'Name of the destination.';
comment on column relay.deliveries.lane is 'Lane of that destination.';
comment on column relay.deliveries.position is 'Position in that lane, from 1; what is set aside leaves its position empty.';
comment on column relay.deliveries.status is 'waiting (also behind a parked message of its key), delivered (stored at the destination), parked (refused, set aside, can be retried) or dead_letter (refused and given up).';
comment on column relay.deliveries.sealed_at is 'When the message was sealed.';
comment on column relay.deliveries.delivered_at is 'When it was known to be stored, to a second or so.';

-- sql/relay/views/parked.sql
-- What a destination refused.
create view relay.parked as
select p.destination, p.lane, p.message_id, p.topic, p.key, w.waiting, p.attempts, p.error, p.first_failed_at, p.last_failed_at,
       p.disposition
from relay.destination as d
cross join lateral relay.parked_of(d.destination) as w
join relay.park as p on (p.destination, p.seal, p.place) = (d.destination, w.seal, w.place);

comment on view relay.parked is 'Messages that a destination refused for good, and that were not tried again since.';
comment on column relay.parked.destination is 'Name of the destination.';
comment on column relay.parked.lane is 'Lane of that destination.';
comment on column relay.parked.message_id is 'Id of the message.';
comment on column relay.parked.topic is 'Its topic.';
comment on column relay.parked.key is 'Its key; later messages of the key wait behind it.';
comment on column relay.parked.waiting is 'How many wait behind it.';
comment on column relay.parked.attempts is 'How often it was refused.';
comment on column relay.parked.error is 'What the destination said last.';
comment on column relay.parked.first_failed_at is 'When it was refused first.';
comment on column relay.parked.last_failed_at is 'When it was refused last.';
comment on column relay.parked.disposition is 'parked (can be retried; its key waits) or dead_letter (given up; its key goes on).';


-- the journal: rollback
-- sql/journal/tables/rollback.sql
-- One row per committed rollback, written in its own transaction. A rollback is a session too: rollback_id is its id.
create table journal.rollback (
    rollback_id  uuid primary key references journal.session,
    session_ids  uuid[] not null,
    step_ids     uuid[],
    on_conflict  text not null,
    reason       text not null,
    db_user      name not null,
    db_role      name,
    started_at   timestamptz not null,
    applied_at   timestamptz not null,
    plan_digest  text not null,
    report       jsonb not null,
    reversed_by  uuid
);

create index rollback_sessions on journal.rollback using gin (session_ids);

comment on table journal.rollback is 'Committed rollbacks. Private; read journal.rollbacks.';

-- sql/journal/tables/residue_item.sql
-- What rollbacks could not undo, one row each, to be ticked off.
create table journal.residue_item (
    residue_id       uuid primary key,
    rollback_id      uuid not null references journal.rollback,
    session_id       uuid,
    kind             text not null check (kind in ('row', 'message', 'sequence', 'large_object', 'materialized_view', 'external')),
    relation         regclass,
    table_name       text,
    key              jsonb,
    key_attnums      int2[],
    column_name      text,
    attnum           int2,
    reason           text not null,
    base             jsonb,
    ours             jsonb,
    theirs           jsonb,
    their_session_id uuid,
    their_user       name,
    their_at         timestamptz,
    message_id       uuid,
    destination      text,
    resolved_at      timestamptz,
    resolved_by      name,
    note             text
);

create index residue_item_rollback on journal.residue_item (rollback_id);

comment on table journal.residue_item is 'What rollbacks left. Private; read journal.residue.';

-- sql/journal/tables/left_image.sql
-- The changes that a rollback left as they are, one row each: all other changes of what it took back are taken back. Retention leaves one
-- row for each statement whose images it drops.
create table journal.left_image (
    rollback_id  uuid not null,
    statement_id bigint not null,
    row_key      text
);

create index left_image_place on journal.left_image (statement_id, pg_catalog.hashtextextended(row_key, 0), rollback_id);

comment on table journal.left_image is 'Changes that partial rollbacks left as they are. Private; read journal.residue.';
comment on column journal.left_image.row_key is 'The key of the row before and after the change; null: the statement was left whole, or its images were dropped.';

-- sql/journal/functions/forget_left.sql
-- Which changes of a dropped segment rollbacks left as they are: without its images nobody can take them back any more. That a rollback left something
-- of a statement is kept, one row each, so that the rest of a session is refused for want of images and not taken for undone.
create function journal.forget_left(segment_id integer) returns void
language sql volatile
set search_path = pg_catalog, pg_temp
begin atomic
    with forgotten as (
        delete from journal.left_image l
         using journal.statement s
         where s.segment_id = forget_left.segment_id and l.statement_id = s.statement_id
        returning l.rollback_id, l.statement_id
    )
    insert into journal.left_image (rollback_id, statement_id)
    select distinct f.rollback_id, f.statement_id from forgotten f;
end;

comment on function journal.forget_left(integer) is 'Drops what is known of single changes in a dropped segment. Private.';

-- sql/journal/rollback/unreadable.sql
-- Why the caller may not see all of a table: no_privilege, hidden_by_rls; null where nothing is hidden.
create function journal.unreadable(relation oid) returns text
language sql stable
set search_path = pg_catalog, pg_temp
begin atomic
    select case
        when exists (select from pg_attribute a where a.attrelid = relation and a.attnum > 0 and not a.attisdropped
                        and not has_column_privilege(journal.caller(), relation, a.attnum, 'select')) then 'no_privilege'
        when exists (select from pg_class c join pg_roles r on r.rolname = journal.caller()
                      where c.oid = relation and c.relrowsecurity and not r.rolsuper and not r.rolbypassrls
                        and (c.relforcerowsecurity or not pg_has_role(r.oid, c.relowner, 'usage'))) then 'hidden_by_rls'
        end;
end;

comment on function journal.unreadable(oid) is 'Why the caller may not see all of a table; null where nothing is hidden. Private.';

-- sql/journal/rollback/check_readable.sql
-- Images are handed only to a caller who may read the table now, and whom no row security hides a row from.
create function journal.check_readable(relation oid) returns void
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $check_readable$
#variable_conflict use_variable
declare
    reason constant text := journal.unreadable(relation);
begin
    if reason = 'no_privilege' then
        raise exception using
            errcode = 'JR035', message = format('role %I may not read %s of %s', journal.caller(), (
                select string_agg(quote_ident(a.attname), ', ') from pg_attribute a
                 where a.attrelid = relation and a.attnum > 0 and not a.attisdropped
                   and not has_column_privilege(journal.caller(), relation, a.attnum, 'select')), relation::regclass),
            hint = 'roll back as a role that may read and write the table', detail = '{"reasons": ["no_privilege"]}';
    elsif reason = 'hidden_by_rls' then
        raise exception using
            errcode = 'JR035', message = format('row security may hide rows of %s from role %I', relation::regclass, journal.caller()),
            hint = 'roll back as the table''s owner or a role with BYPASSRLS', detail = '{"reasons": ["hidden_by_rls"]}';
    end if;
end
$check_readable$;

comment on function journal.check_readable(oid) is 'Raises RollbackRefused unless the caller may read the whole table. Private.';

-- sql/journal/rollback/undo_attnums_in.sql
-- Columns of a partition by their numbers in the table it belongs to.
create function journal.undo_attnums_in(part oid, relation oid, attnums int2[]) returns int2[]
language sql stable
begin atomic
    select case when part = relation then attnums
                else array(select a.attnum
                             from unnest(attnums) with ordinality as k (attnum, n)
                             join pg_catalog.pg_attribute p on p.attrelid = part and p.attnum = k.attnum
                             join pg_catalog.pg_attribute a on a.attrelid = relation and a.attname = p.attname
                            order by k.n) end;
end;

comment on function journal.undo_attnums_in(oid, oid, int2[]) is 'Columns of a partition by their numbers in its table. Private.';

-- sql/journal/rollback/undo_is_enforced.sql
-- Whether the server holds a constraint. From version 18 on it may be told not to; before, there is no column that says so.
create function journal.undo_is_enforced(constraint_id oid) returns boolean
language sql stable
begin atomic
    select pg_catalog.pg_get_constraintdef(constraint_id) not like '% NOT ENFORCED';
end;

comment on function journal.undo_is_enforced(oid) is 'Whether a constraint is enforced. Private.';

-- sql/journal/rollback/undo_foreign_keys.sql
-- The foreign keys, as they were declared, that start from a table or point at it. One that is declared on a partition, or points at one, counts
-- for the whole table, whose columns it is told in; child_part and parent_part say where it is in force. One that is not enforced is none.
create function journal.undo_foreign_keys(relation oid)
returns table (oid oid, name name, child oid, child_part oid, child_attnums int2[], parent oid, parent_part oid, parent_attnums int2[],
               operators oid[], on_update "char", on_delete "char")
language sql stable
begin atomic
    with family as materialized (
        select undo_foreign_keys.relation as relid union select p.relid from pg_catalog.pg_partition_tree(undo_foreign_keys.relation) p
    )
    select f.oid, f.conname, c.root, f.conrelid, journal.undo_attnums_in(f.conrelid, c.root, f.conkey), p.root, f.confrelid, journal.undo_attnums_in(f.confrelid, p.root, f.confkey),
           f.conpfeqop, f.confupdtype, f.confdeltype
      from pg_catalog.pg_constraint f
     cross join lateral (select coalesce(pg_catalog.pg_partition_root(f.conrelid)::oid, f.conrelid) as root) c
     cross join lateral (select coalesce(pg_catalog.pg_partition_root(f.confrelid)::oid, f.confrelid) as root) p
     where f.contype = 'f' and f.conparentid = 0 and journal.undo_is_enforced(f.oid)
       and (f.conrelid in (select m.relid from family m) or f.confrelid in (select m.relid from family m));
end;

comment on function journal.undo_foreign_keys(oid) is 'The foreign keys from a table and to it, those of its partitions included. Private.';

-- sql/journal/rollback/undo_stands_in.sql
-- Condition: the live row (alias) of a table stands in a given part of it.
create function journal.undo_stands_in(part oid, relation oid, alias text) returns text
language sql stable
begin atomic
    select case when part = relation then 'true'
                else pg_catalog.format('%s.tableoid operator(pg_catalog.=) any (%L::oid[])', alias,
                                       array(select part union select p.relid from pg_catalog.pg_partition_tree(part) p)) end;
end;

comment on function journal.undo_stands_in(oid, oid, text) is 'SQL text: a live row stands in a part of its table. Private.';

-- sql/journal/rollback/undo_settled.sql
-- The rollbacks that tell what of sessions and steps is taken back now, but for those that are to be taken back with them: then all of it is
-- undone at once. Not those that were rolled back in part or overtaken: of these, undo_standing.
create function journal.undo_settled(session_ids uuid[]) returns setof journal.reversal
language sql stable
begin atomic
    select r.*
      from journal.reversal r
     where r.session_id = any (undo_settled.session_ids) and r.rollback_id <> all (undo_settled.session_ids)
       and journal.is_settled(r);
end;

comment on function journal.undo_settled(uuid[]) is 'The rollbacks that tell what of sessions is taken back now. Private.';

-- sql/journal/rollback/undo_standing.sql
-- The rollbacks of sessions, and the rollbacks of those, that are in effect and do not tell which changes of theirs: they were rolled back in part,
-- or overtaken. Their own changes tell it: what still stands of them is folded together with what they took back.
create function journal.undo_standing(session_ids uuid[]) returns uuid[]
language sql stable
begin atomic
    with recursive unsettled as (
        select r.rollback_id
          from journal.reversal r
         where r.session_id = any (undo_standing.session_ids) and r.rollback_id <> all (undo_standing.session_ids)
           and journal.session_reversed(r.rollback_id) <> 'fully' and not journal.is_settled(r)
        union
        select r.rollback_id
          from unsettled u
          join journal.reversal r on r.session_id = u.rollback_id and r.rollback_id <> all (undo_standing.session_ids)
         where journal.session_reversed(r.rollback_id) <> 'fully' and not journal.is_settled(r)
    )
    select coalesce(pg_catalog.array_agg(u.rollback_id), '{}') from unsettled u;
end;

comment on function journal.undo_standing(uuid[]) is 'Rollbacks whose own changes tell what they still take back. Private.';

-- sql/journal/rollback/undo_statements.sql
-- The statements of sessions or steps, by the bindings of their transactions: a statement belongs to the last binding
-- before it in its transaction. What was taken back, and still is, counts as undone: it is told apart by cancelled (null: all). Of a statement of
-- which a rollback left some rows as they are, rows counts those, or with cancelled the others; taken_by says which rollbacks to ask (undo_images).
create function journal.undo_statements(session_ids uuid[], step_ids uuid[], cancelled boolean default false)
returns table (statement_id bigint, segment_id integer, relation oid, transaction_id xid8, ledger_xmin xid, depth smallint,
               same_cluster boolean, rows bigint, operation "char", taken_by uuid[])
language sql stable
begin atomic
    with settled as materialized (
        select d.* from journal.undo_settled(undo_statements.session_ids) d where undo_statements.cancelled is not null
    ), statement as (
        select s.*, s.xmin as ledger_xmin, g.relation::oid as relation, t.taken_by, t.wholly
          from journal.binding b
         cross join lateral (
               select coalesce(pg_catalog.min(x.statement_id), 9223372036854775807) as statement_id
                 from journal.binding x
                where x.transaction_id = b.transaction_id and x.cluster = b.cluster and x.statement_id > b.statement_id) following
          join journal.statement s
            on s.transaction_id = b.transaction_id and s.cluster = b.cluster
           and s.statement_id > b.statement_id and s.statement_id < following.statement_id
          join journal.segment g on g.segment_id = s.segment_id
         cross join lateral (
               select pg_catalog.array_agg(d.rollback_id) as taken_by, coalesce(pg_catalog.bool_or(not d.partly), false) as wholly
                 from settled d
                where d.session_id = b.session_id and (d.step_id is null or d.step_id = b.step_id)
                  and not (d.partly and exists (select from journal.left_image l where l.statement_id = s.statement_id and l.rollback_id = d.rollback_id and l.row_key is null))) t
         where b.session_id = any (undo_statements.session_ids)
           and (undo_statements.step_ids is null or b.step_id = any (undo_statements.step_ids))
    )
    select s.statement_id, s.segment_id, s.relation, s.transaction_id, s.ledger_xmin, s.depth, s.cluster = journal.cluster_id(),
           case when undo_statements.cancelled then s.rows - e.rows else e.rows end, s.operation, s.taken_by
      from statement s
     cross join lateral (
           select case when s.taken_by is null then s.rows when s.wholly then 0
                       else (select pg_catalog.count(*)
                               from (select from journal.left_image l where l.statement_id = s.statement_id and l.rollback_id = any (s.taken_by)
                                      group by l.row_key having pg_catalog.count(*) = pg_catalog.cardinality(s.taken_by)) l) end as rows) e
     where case when undo_statements.cancelled then e.rows < s.rows else s.taken_by is null or e.rows > 0 end;
end;

comment on function journal.undo_statements(uuid[], uuid[], boolean) is 'The captured statements of sessions, or of some of their steps. Private.';

-- sql/journal/rollback/undo_planned.sql
-- The statements that a plan reads: those of the sessions that are in effect, and on the same tables (standing) those of rollbacks
-- by which alone it is known what of them is taken back.
create function journal.undo_planned(session_ids uuid[], step_ids uuid[])
returns table (statement_id bigint, segment_id integer, relation oid, transaction_id xid8, ledger_xmin xid, depth smallint,
               same_cluster boolean, rows bigint, operation "char", taken_by uuid[], standing boolean)
language sql stable
begin atomic
    with named as materialized (
        select s.* from journal.undo_statements(undo_planned.session_ids, undo_planned.step_ids) s
    ), unsettled as materialized (  -- once, and not for each binding that it is compared with
        select journal.undo_standing(undo_planned.session_ids) as rollback_ids
    )
    select n.*, false from named n
    union all
    select s.*, true
      from unsettled u
     cross join lateral journal.undo_statements(u.rollback_ids, null) s
     where s.relation in (select n.relation from named n);
end;

comment on function journal.undo_planned(uuid[], uuid[]) is 'The captured statements that a plan reads. Private.';

-- sql/journal/rollback/undo_relations.sql
-- The tables that sessions changed, with the counts that a plan starts from (images: of the sessions; loaded: with those of standing rollbacks), and what stands in the way of a table as a whole:
-- it is recorded only, gone, has lost images to retention, was written in a shape that cover has not seen, or its rows may no longer be told apart by the
-- key that the images have.
create function journal.undo_relations(session_ids uuid[], step_ids uuid[])
returns table (relation oid, table_name text, images bigint, standing bigint[], loaded bigint, segments integer[], first_statement bigint, only_updates boolean, obstacle text)
language sql stable security definer
set search_path = pg_catalog, pg_temp
begin atomic
    select s.relation, coalesce(journal.qualified_name(s.relation), pg_catalog.max(g.table_name)), pg_catalog.sum(s.rows) filter (where not s.standing)::bigint,
           coalesce(pg_catalog.array_agg(s.statement_id) filter (where s.standing), '{}'), pg_catalog.sum(s.rows)::bigint,
           pg_catalog.array_agg(distinct s.segment_id), pg_catalog.min(s.statement_id),
           pg_catalog.bool_and(s.operation = 'U'),
           case when exists (select from journal.covered_table c where c.relation = s.relation and not c.undo) then 'audit_only'
                when journal.qualified_name(s.relation) is null then 'table_recreated'
                when pg_catalog.bool_or(pg_catalog.to_regclass(pg_catalog.format('journal.segment_%s', g.segment_id)) is null) then 'images_pruned'
                when pg_catalog.bool_or(g.kind = 'record' or g.key = '{}') then 'coverage_gap'
                when not exists (select from pg_catalog.pg_index i
                                  where i.indrelid = s.relation and i.indisunique and i.indisvalid and i.indpred is null and i.indexprs is null
                                    and (i.indkey::int2[])[0:i.indnkeyatts - 1] <@ (select k.key from journal.segment k where k.segment_id = pg_catalog.max(s.segment_id))) then 'key_changed' end
      from journal.undo_planned(undo_relations.session_ids, undo_relations.step_ids) s
      join journal.segment g on g.segment_id = s.segment_id
     group by s.relation
     order by s.relation;
end;

comment on function journal.undo_relations(uuid[], uuid[]) is 'The tables that sessions changed. Private.';

-- sql/journal/rollback/undo_already.sql
-- How many changes of sessions are taken back already, by rollbacks that are in effect, table by table.
create function journal.undo_already(session_ids uuid[], step_ids uuid[])
returns table (relation oid, table_name text, images bigint)
language sql stable security definer
set search_path = pg_catalog, pg_temp
begin atomic
    select s.relation, coalesce(journal.qualified_name(s.relation), pg_catalog.max(g.table_name)), pg_catalog.sum(s.rows)::bigint
      from journal.undo_statements(undo_already.session_ids, undo_already.step_ids, true) s
      join journal.segment g on g.segment_id = s.segment_id
     group by s.relation;
end;

comment on function journal.undo_already(uuid[], uuid[]) is 'Changes of sessions that are taken back already. Private.';

-- sql/journal/rollback/undo_obstacle.sql
-- Why nothing of a table can be undone, in words.
create function journal.undo_obstacle(obstacle text, table_name text) returns text
language sql immutable
begin atomic
    select case obstacle
           when 'audit_only' then pg_catalog.format('%s is recorded only, not to be undone', table_name)
           when 'images_pruned' then pg_catalog.format('images of %s were dropped by retention', table_name)
           when 'coverage_gap' then pg_catalog.format('%s has rows in a shape that cover has not seen: journal cover %1$s', table_name)
           when 'key_changed' then pg_catalog.format('rows of %s can no longer be told apart by the key that they had', table_name)
           end;
end;

comment on function journal.undo_obstacle(text, text) is 'Why nothing of a table can be undone, in words. Private.';

-- sql/journal/rollback/undo_rows.sql
-- The rows of a table as generated SQL reads and writes them: partitions belong to it, tables that inherit from it do not.
create function journal.undo_rows(relation oid) returns text
language sql stable
begin atomic
    select case when c.relkind = 'p' then '' else 'only ' end || journal.qualified_name(c.oid) from pg_catalog.pg_class c where c.oid = undo_rows.relation;
end;

comment on function journal.undo_rows(oid) is 'SQL text: a table with its partitions, without its heirs. Private.';

-- sql/journal/rollback/differs.sql
-- SQL text: two images are not the same, byte for byte. Where equality of the type says just that, it is used: it is ten
-- times cheaper. Numbers that are equal and have as many digits behind the point are the same (NaN and infinities have no scale).
-- Only for statements that run under a pinned search_path.
create function journal.differs(a text, b text, image_type text) returns text
language sql immutable
begin atomic
    select pg_catalog.format(
        case when image_type in ('boolean', 'smallint', 'integer', 'bigint', 'oid', 'text', '*text', 'character varying', 'bytea', 'uuid', 'date',
                                 'time without time zone', 'timestamp without time zone', 'timestamp with time zone')
             then '%1$s is distinct from %2$s'
             when image_type = 'numeric' then '(%1$s is distinct from %2$s or pg_catalog.scale(%1$s) is distinct from pg_catalog.scale(%2$s))'
             else 'pg_catalog.record_image_ne(row(%1$s), row(%2$s))' end, a, b);
end;

comment on function journal.differs(text, text, text) is 'SQL text: two images are not the same, exactly. Private.';

-- sql/journal/rollback/undo_columns.sql
-- What a rollback knows of the columns of one table: how the images hold them, and what has become of them since. Images that
-- hold a column in different types, because it was retyped in between, are compared as texts. Of a dropped column only an
-- auditor may see values: for others it is hidden, and keyed digests stand for them, so that they have the same plan.
create function journal.undo_columns(relation oid, segments integer[])
returns table (attnum int2, name text, image_type text, as_text boolean, key_position integer, live_type text, base_type text,
               generated boolean, not_null boolean, has_default boolean, problem text, counter boolean, maintained boolean, hidden boolean)
language plpgsql stable security definer
set search_path = pg_catalog, pg_temp
as $undo_columns$
#variable_conflict use_variable
begin
    return query
    with image as (
        select distinct on (c.attnum) c.attnum, c.name, c.type, c.stored, array_position(g.key, c.attnum) as key_position,
               count(c.type) over (partition by c.attnum) as shapes, min(c.type::oid) over (partition by c.attnum) <> max(c.type::oid) over (partition by c.attnum) as mixed,
               min(c.stored) over (partition by c.attnum) <> max(c.stored) over (partition by c.attnum) as as_text
          from journal.segment g, unnest(g.attnums, g.names, g.types, g.image_types) as c (attnum, name, type, stored)
         where g.segment_id = any (segments)
         order by c.attnum, g.segment_id desc
    )
    select coalesce(i.attnum, a.attnum), quote_ident(coalesce(a.attname, i.name)), case when i.as_text or h.hidden and i.stored is not null then 'text' else ltrim(i.stored, '*') end, i.as_text or i.stored like '*%' or h.hidden, i.key_position,
           format_type(a.atttypid, a.atttypmod), format_type(case when t.typtype = 'd' then journal.base_type(t.oid) else t.oid end, -1),
           a.attgenerated <> '', a.attnotnull,
           a.atthasdef or a.attidentity <> '' or t.typdefault is not null,
           case when i.attnum is null then 'added'
                when a.attnum is null then 'column_dropped'
                when i.mixed then 'retyped'
                when i.stored is not null and i.type::oid <> a.atttypid and (i.stored like '*%' or journal.image_type(a.atttypid) is distinct from i.stored) then 'retyped' end,
           coalesce(coalesce(i.attnum, a.attnum) = any (o.counters), false), coalesce(coalesce(i.attnum, a.attnum) = any (o.maintained), false),
           h.hidden
      from image i
      full join (select * from pg_attribute a where a.attrelid = undo_columns.relation and a.attnum > 0 and not a.attisdropped) a on a.attnum = i.attnum
      left join pg_type t on t.oid = a.atttypid
     cross join lateral (select a.attnum is null and not journal.is_auditor(journal.caller()) as hidden) h
      left join journal.covered_table o on o.relation = undo_columns.relation
     order by 1;
end
$undo_columns$;

comment on function journal.undo_columns(oid, integer[]) is 'The columns of a table as images hold them and as they are now. Private.';

-- sql/journal/rollback/undo_image.sql
-- SQL text of an image in the type that all images of its column share; of what stands for it where it is hidden.
create function journal.undo_image(expression text, stored text, image_type text, hidden boolean) returns text
language sql immutable
begin atomic
    select case when hidden then pg_catalog.format('case when %1$s is distinct from null then journal.keyed_digest(''image'', pg_catalog.format(''%%s'', %1$s), null) end', expression)
                when pg_catalog.ltrim(stored, '*') = image_type then expression
                else pg_catalog.format('case when %1$s is not null then pg_catalog.format(''%%s'', %1$s) end', expression) end;
end;

comment on function journal.undo_image(text, text, text, boolean) is 'SQL text of an image in a shared type. Private.';

-- sql/journal/rollback/undo_segment_source.sql
-- SQL text for each segment that reads it in the columns that all segments of a rollback share: of its statement (s), then elided, then the
-- before-image and the after-image of every image column. With taken_back, without the changes that rollbacks took back.
create function journal.undo_segment_source(relation oid, segments integer[], attnums int2[], taken_back boolean) returns setof text
language sql stable
begin atomic
    select pg_catalog.format('select s.statement_id, s.transaction_id, s.ledger_xmin, s.same_cluster, s.depth, %1$s, %2$s, %3$s from journal.segment_%4$s i join s using (statement_id) where s.segment_id = %4$s%5$s',
               case when pg_catalog.count(*) filter (where p.attnum is null) = 0 then 'i.elided'
                    else pg_catalog.format('i.elided || %L::int2[]', pg_catalog.array_agg(c.attnum) filter (where p.attnum is null)) end,
               pg_catalog.string_agg(case when p.attnum is null then 'null::' || c.image_type else journal.undo_image('i.o' || c.attnum, p.stored, c.image_type, c.hidden) end, ', ' order by c.attnum),
               pg_catalog.string_agg(case when p.attnum is null then 'null::' || c.image_type else journal.undo_image('i.n' || c.attnum, p.stored, c.image_type, c.hidden) end, ', ' order by c.attnum),
               g.segment_id,
               case when undo_segment_source.taken_back then pg_catalog.format(
                    ' and (s.taken_by is null or pg_catalog.cardinality(s.taken_by) = (select pg_catalog.count(*) from journal.left_image l '
                    'where l.statement_id = s.statement_id and pg_catalog.hashtextextended(l.row_key, 0) = pg_catalog.hashtextextended(pg_catalog.format(''%%s'', row(%1$s)), 0) '
                    'and l.row_key = pg_catalog.format(''%%s'', row(%1$s)) and l.rollback_id = any (s.taken_by)))',
                    pg_catalog.string_agg(journal.undo_image('i.o' || c.attnum, p.stored, c.image_type, c.hidden) || ', ' || journal.undo_image('i.n' || c.attnum, p.stored, c.image_type, c.hidden), ', ' order by c.key_position)
                        filter (where c.key_position is not null)) end)
      from journal.undo_columns(undo_segment_source.relation, undo_segment_source.segments) c
      join journal.segment g on g.segment_id = any (undo_segment_source.segments)
      left join lateral (select a.attnum, a.stored from rows from (pg_catalog.unnest(g.attnums), pg_catalog.unnest(g.image_types)) as a (attnum, stored)
                          where a.attnum = c.attnum and a.stored is not null) p on true
     where c.image_type is not null and c.attnum = any (undo_segment_source.attnums)
     group by g.segment_id;
end;

comment on function journal.undo_segment_source(oid, integer[], int2[], boolean) is 'SQL texts that read segments for a rollback. Private.';

-- sql/journal/rollback/undo_images.sql
-- Hands the images of sessions on one table to whoever may read that table. The columns of the result are those of
-- undo_segment_source; a column that a shape does not have counts as elided. Which statements to read is asked by itself: within the statement
-- that is put together for each table it would be planned anew for each.
create function journal.undo_images(relation oid, session_ids uuid[], step_ids uuid[], segment_ids integer[], attnums int2[]) returns setof record
language plpgsql stable security definer rows 1000000000
set search_path = pg_catalog, pg_temp
as $undo_images$
#variable_conflict use_variable
declare
    segments integer[];
    source   text;
    read     record;
    taken_back constant boolean := exists (select from journal.reversal r where r.session_id = any (session_ids));
begin
    perform journal.check_readable(relation);
    segments := array(select g.segment_id from journal.segment g where g.relation = undo_images.relation and g.segment_id = any (segment_ids));
    select string_agg(s.source, ' union all ') into source from journal.undo_segment_source(undo_images.relation, segments, attnums, taken_back) as s (source);
    if taken_back then
        select array_agg(s.statement_id) as ids, array_agg(s.transaction_id) as transaction_ids, array_agg(s.ledger_xmin) as xmins, array_agg(s.same_cluster) as same_clusters,
               array_agg(s.depth) as depths, array_agg(s.segment_id) as segments, array_agg(s.taken_by::text) as taken_by
          into read from journal.undo_planned(session_ids, step_ids) s where s.segment_id = any (segments);
    else
        select array_agg(s.statement_id) as ids, array_agg(s.transaction_id) as transaction_ids, array_agg(s.ledger_xmin) as xmins, array_agg(s.same_cluster) as same_clusters,
               array_agg(s.depth) as depths, array_agg(s.segment_id) as segments, null::text[] as taken_by
          into read from journal.undo_statements(session_ids, step_ids) s where s.segment_id = any (segments);
    end if;
    return query execute 'with s as materialized (
            select s.statement_id, s.transaction_id, s.ledger_xmin, s.same_cluster, s.depth, s.segment_id, s.taken_by::uuid[] as taken_by
              from unnest($1, $2, $3, $4, $5, $6, $7) as s (statement_id, transaction_id, ledger_xmin, same_cluster, depth, segment_id, taken_by)) ' || source
        using read.ids, read.transaction_ids, read.xmins, read.same_clusters, read.depths, read.segments, read.taken_by;
end
$undo_images$;

comment on function journal.undo_images(oid, uuid[], uuid[], integer[], int2[]) is 'The images of sessions on one table, for callers who may read it. Private.';

-- sql/journal/rollback/undo_changed_columns.sql
-- The columns that sessions' updates changed in a table: a cheap first pass, so that the rest carries no others along. A bulk
-- statement changes the same columns in all rows, so what the first images show is assumed, and that no other column changed is
-- looked up in one condition, which costs half of counting column by column.
create function journal.undo_changed_columns(relation oid, session_ids uuid[], step_ids uuid[]) returns int2[]
language plpgsql stable security definer
set search_path = pg_catalog, pg_temp
as $undo_changed_columns$
#variable_conflict use_variable
declare
    segment record;
    part    int2[];
    seen    bigint;
    more    boolean;
    changed int2[] := '{}';
begin
    for segment in
        select g.segment_id, array_agg(s.statement_id) as statements,
               (select string_agg(format('case when bool_or(%s) then %s end', journal.differs('o' || a.attnum, 'n' || a.attnum, a.stored), a.attnum), ', ')
                  from unnest(g.attnums, g.image_types) as a (attnum, stored) where a.stored is not null) as tests
          from journal.undo_statements(session_ids, step_ids) s
          join journal.segment g on g.segment_id = s.segment_id
         where s.relation = undo_changed_columns.relation and s.operation = 'U'
         group by g.segment_id
    loop
        execute format('select array_remove(array[%s]::int2[], null), count(*) from (select * from journal.segment_%s where statement_id = any ($1) limit 100) i', segment.tests, segment.segment_id)
           into part, seen using segment.statements;
        if seen < 100 then
            changed := changed || part;
            continue;
        end if;
        execute format('select exists (select from journal.segment_%s where statement_id = any ($1) and (%s))', segment.segment_id,
                       (select coalesce(string_agg(journal.differs('o' || a.attnum, 'n' || a.attnum, a.stored), ' or '), 'false')
                          from journal.segment g, unnest(g.attnums, g.image_types) as a (attnum, stored)
                         where g.segment_id = segment.segment_id and a.stored is not null and a.attnum <> all (part)))
           into more using segment.statements;
        if more then
            execute format('select array_remove(array[%s]::int2[], null) from journal.segment_%s where statement_id = any ($1)', segment.tests, segment.segment_id)
               into part using segment.statements;
        end if;
        changed := changed || part;
    end loop;
    return array(select distinct c from unnest(changed) c order by c);
end
$undo_changed_columns$;

comment on function journal.undo_changed_columns(oid, uuid[], uuid[]) is 'Columns that sessions'' updates changed. Private.';

-- sql/journal/rollback/undo_family.sql
-- The rollbacks of the given sessions, the rollbacks of those, and so on.
create function journal.undo_family(session_ids uuid[]) returns uuid[]
language sql stable
begin atomic
    with recursive family as (
        select r.rollback_id from journal.rollback r where r.session_ids && undo_family.session_ids
        union
        select r.rollback_id from journal.rollback r join family f on r.session_ids @> array[f.rollback_id]
    )
    select coalesce(pg_catalog.array_agg(f.rollback_id), '{}') from family f;
end;

comment on function journal.undo_family(uuid[]) is 'The rollbacks of sessions, and the rollbacks of those. Private.';

-- sql/journal/rollback/undo_cancelled.sql
-- Sessions and steps that are taken back entirely, and the rollbacks that took them back, as far as that was done after a
-- statement. Both together left nothing, so they are nobody's later work.
create function journal.undo_cancelled(since bigint)
returns table (session_id uuid, step_id uuid)
language sql stable security definer
set search_path = pg_catalog, pg_temp
begin atomic
    with cancelled as (
        select r.session_id, r.step_id, r.rollback_id
          from journal.reversal r
         where not r.partly
           and r.reversed_at >= (select s.executed_at from journal.statement s where s.statement_id = undo_cancelled.since)
           and journal.is_settled(r)
    )
    select c.session_id, c.step_id from cancelled c
    union
    select c.rollback_id, null from cancelled c;
end;

comment on function journal.undo_cancelled(bigint) is 'Sessions and steps that were taken back, and their rollbacks. Private.';

-- sql/journal/rollback/undo_others.sql
-- What anybody else journaled on the given rows since a statement, and until another; deleting: only rows that they deleted; moving: only
-- rows to which they gave another key. moved_to: the key under which they left the row instead. Rollbacks of the sessions, and their reversals, are family: what one took back the other put back, so they are nobody's
-- later work; nor is the rollback that is being carried out, rollback_id. So are other sessions that were taken back entirely, with the rollbacks that did it. Of what
-- triggers did to a row in one transaction, what they left counts: a total that they lower and raise again is not changed.
create function journal.undo_others(relation oid, session_ids uuid[], step_ids uuid[], since bigint, keys text[], until bigint default null, deleting boolean default false, moving boolean default false, rollback_id uuid default null)
returns table (row_key text, statement_id bigint, family boolean, ledger_xmins xid[], whole boolean, changed int2[], moved_to text[])
language plpgsql stable security definer
set search_path = pg_catalog, pg_temp
as $undo_others$
#variable_conflict use_variable
declare
    segment record;
begin
    perform journal.check_readable(relation);
    for segment in
        select g.segment_id,
               string_agg(format('i.o%s', k), ', ' order by n) as old_key, string_agg(format('i.n%s', k), ', ' order by n) as new_key,
               string_agg(format('format(''%%s'', i.n%s)', k), ', ' order by n) as new_texts,
               c.*
          from journal.segment g
         cross join lateral unnest(g.key) with ordinality as k (k, n)
         cross join lateral (
               select string_agg(format('case when record_image_ne(row(i.o%1$s), row(i.n%1$s)) then %1$s end', a.attnum), ', ') as changed,
                      string_agg(format('case when array_agg(case when i.o%1$s is distinct from null then format(''%%s'', i.o%1$s) end order by case when i.o%1$s is distinct from null then format(''%%s'', i.o%1$s) end)'
                                        ' is distinct from array_agg(case when i.n%1$s is distinct from null then format(''%%s'', i.n%1$s) end order by case when i.n%1$s is distinct from null then format(''%%s'', i.n%1$s) end) then %1$s end', a.attnum), ', ') as left_changed
                 from unnest(g.attnums, g.image_types) as a (attnum, stored) where a.stored is not null) c
         where g.relation = undo_others.relation and coalesce(g.until_at, 'infinity') >= coalesce(
               (select s.executed_at from journal.statement s where s.statement_id = since), '-infinity')
         group by g.segment_id, c.changed, c.left_changed
    loop
        return query execute format($others$
            with own as materialized (
                select x.statement_id, bool_or(x.named) as named from (
                select s.statement_id, true as named from journal.undo_statements($1, $2) s
                union all
                select s.statement_id, false from journal.undo_statements($1, $2, true) s
                union all
                select s.statement_id, false from journal.undo_statements(journal.undo_family($1) || $5, null, null) s
                union all
                select s.statement_id, false
                  from journal.undo_cancelled($3) c
                 cross join lateral journal.undo_statements(array[c.session_id], case when c.step_id is not null then array[c.step_id] end, null) s
                ) x group by x.statement_id
            ), image as (
                select i.*, format('%%s', row(%1$s)) as old_key, format('%%s', row(%2$s)) as new_key, num_nonnulls(%1$s) = 0 as no_old, num_nonnulls(%2$s) = 0 as no_new
                  from journal.segment_%5$s i
                 where i.statement_id > $3%8$s and (format('%%s', row(%1$s)) = any ($4) or format('%%s', row(%2$s)) = any ($4))%6$s
            ), visit as (
                select i.*, k.row_key, case when not i.no_new and k.row_key = i.old_key and i.old_key <> i.new_key then array[%7$s] end as moved_to, o.statement_id is not null as family, s.transaction_id, s.xmin as ledger_xmin,
                       case when s.depth > 1 then count(*) over (partition by k.row_key, s.transaction_id, s.depth > 1, o.statement_id is not null) else 1 end as times
                  from image i
                  join journal.statement s using (statement_id)
                 cross join lateral (select i.old_key where not i.no_old union select i.new_key where not i.no_new) as k (row_key)
                  left join own o using (statement_id)
                 where o.named is not true
            )
            select i.row_key, i.statement_id, i.family, array[i.ledger_xmin], i.no_old or i.no_new, array_remove(array[%3$s]::int2[], null), i.moved_to
              from visit i
             where i.times = 1
            union all
            select i.row_key, max(i.statement_id), i.family, array_agg(i.ledger_xmin), count(*) filter (where i.no_old) <> count(*) filter (where i.no_new), array_remove(array[%4$s]::int2[], null), null::text[]
              from visit i
             where i.times > 1
             group by i.row_key, i.transaction_id, i.family$others$,
            segment.old_key, segment.new_key, segment.changed, segment.left_changed, segment.segment_id,
            case when until is not null then format(' and i.statement_id < %s', until) else '' end
            || case when deleting then format(' and i.statement_id in (select d.statement_id from journal.statement d where d.segment_id = %s and d.operation in (''D'', ''T'') and d.statement_id > $3)', segment.segment_id) else '' end,
            segment.new_texts,
            case when moving then format(' and row(%1$s) is distinct from row(%2$s) and num_nonnulls(%1$s) > 0 and num_nonnulls(%2$s) > 0', segment.old_key, segment.new_key) else '' end)
        using session_ids, step_ids, since, keys, rollback_id;
    end loop;
end
$undo_others$;

comment on function journal.undo_others(oid, uuid[], uuid[], bigint, text[], bigint, boolean, boolean, uuid) is 'What others journaled on rows since a statement. Private.';

-- sql/journal/rollback/undo_deleted_since.sql
-- Whether others have deleted rows of a table since a statement: a look at the ledger, before any image is read.
create function journal.undo_deleted_since(relation oid, session_ids uuid[], step_ids uuid[], since bigint) returns boolean
language sql stable security definer
set search_path = pg_catalog, pg_temp
begin atomic
    select exists (
        select from journal.segment g
          join journal.statement d on d.segment_id = g.segment_id and d.operation in ('D', 'T') and d.statement_id > undo_deleted_since.since
         where g.relation = undo_deleted_since.relation
           and d.statement_id not in (select s.statement_id from journal.undo_statements(undo_deleted_since.session_ids, undo_deleted_since.step_ids) s));
end;

comment on function journal.undo_deleted_since(oid, uuid[], uuid[], bigint) is 'Whether others have deleted rows of a table since a statement. Private.';

-- sql/journal/rollback/undo_their.sql
-- Who wrote a statement, as a conflict shows it.
create function journal.undo_their(statement_id bigint) returns jsonb
language sql stable security definer
set search_path = pg_catalog, pg_temp
begin atomic
    select pg_catalog.jsonb_build_object(
               'session_id', b.session_id, 'agent', s.agent, 'db_user', l.db_user, 'application_name', nullif(l.application_name, ''), 'at', journal.utc(l.executed_at))
      from journal.statement l
      left join lateral (select b.session_id from journal.binding b
                          where b.transaction_id = l.transaction_id and b.cluster = l.cluster and b.statement_id < l.statement_id
                          order by b.statement_id desc limit 1) b on true
      left join journal.session s on s.session_id = b.session_id
     where l.statement_id = undo_their.statement_id;
end;

comment on function journal.undo_their(bigint) is 'Who wrote a statement: session, agent, user, application, time. Private.';

-- sql/journal/rollback/undo_members.sql
-- The sessions that a rollback takes back: those named, and the sessions they opened, and so on.
create function journal.undo_members(session_ids uuid[], with_children boolean)
returns table (session_id uuid, agent text, task text, why text, status_before text, reversed_before text, opened_at timestamptz)
language sql stable security definer
set search_path = pg_catalog, pg_temp
begin atomic
    with recursive member as (
        select s.session_id, 'named' as why from journal.session s where s.session_id = any (undo_members.session_ids)
        union
        select s.session_id, 'child' from member m join journal.session s on s.parent_session_id = m.session_id
         where undo_members.with_children and s.session_id <> all (undo_members.session_ids)
    )
    select v.session_id, v.agent, v.task, m.why, v.status, v.reversed, v.opened_at
      from member m join journal.sessions v using (session_id);
end;

comment on function journal.undo_members(uuid[], boolean) is 'The sessions that a rollback takes back, child sessions included. Private.';

-- sql/journal/rollback/undo_live.sql
-- The live value of a column in the form in which images hold it: the type under a domain, or the output text.
create function journal.undo_live(alias text, column_name text, as_text boolean, live_type text, base_type text) returns text
language sql immutable
begin atomic
    select case when as_text then journal.image_of(alias || '.' || column_name, '*text')
                when live_type is null then 'null'
                else pg_catalog.format('%s.%s::%s', alias, column_name, base_type) end;
end;

comment on function journal.undo_live(text, text, boolean, text, text) is 'SQL text of a live value in the form of an image. Private.';

-- sql/journal/rollback/undo_value.sql
-- The way back from an image to the column: images kept as text go through the type's input function. An array literal
-- reaches it for any type and never a cast that somebody wrote; arrays themselves have no such casts.
create function journal.undo_value(expression text, as_text boolean, live_type text) returns text
language sql immutable
begin atomic
    select case when not as_text then expression
                when live_type like '%[]' then pg_catalog.format('%s::%s', expression, live_type)
                else pg_catalog.format('case when %1$s is not null then (pg_catalog.concat(''{"'', pg_catalog.replace(pg_catalog.replace(%1$s, ''\'', ''\\''), ''"'', ''\"''), ''"}'')::%2$s[])[1] end',
                                       expression, live_type) end;
end;

comment on function journal.undo_value(text, boolean, text) is 'SQL text that turns an image back into a value of the column. Private.';

-- sql/journal/rollback/undo_list.sql
-- One text per column, joined: every generated statement of a rollback is put together from such lists. In the pattern
-- %1$s is the attnum, %2$s the quoted name, %3$s the image type, %4$s the live type, %5$s the live value of t in the form of
-- an image, %6$s the value that the row gets back. Columns that are not carried along have neither b nor a.
create function journal.undo_list(relation oid, pattern text, separator text, which text default 'image') returns text
language plpgsql stable
as $undo_list$
begin
    return (
        select coalesce(string_agg(
                   format(pattern, c.attnum, c.name, c.image_type, c.live_type,
                          journal.undo_live('t', c.name, c.as_text, c.live_type, c.base_type),
                          journal.undo_value('u.b' || c.attnum, c.as_text, c.live_type)),
                   separator order by case when which = 'key' then c.key_position else c.attnum end), '')
          from pg_temp.journal_undo_column c
          join pg_temp.journal_undo u using (relation)
         where c.relation = undo_list.relation and c.carried
           and case which
               when 'image' then true
               when 'live' then c.problem is null                                                       -- still exists as it was
               when 'key' then c.key_position is not null
               when 'guard' then c.problem is null and not c.maintained and c.attnum <> all (u.maintained)  -- and is nobody's to maintain
               end
    );
end
$undo_list$;

comment on function journal.undo_list(oid, text, text, text) is
    'A pattern filled for each image, live, key or guard column of a table under rollback, joined. Private.';

-- sql/journal/rollback/undo_key_match.sql
-- The condition that finds a live row (alias t by default) by its key. Keys of catalog types keep their index; those kept as text are
-- compared as text.
create function journal.undo_key_match(relation oid, image text, alias text default 't') returns text
language plpgsql stable
as $undo_key_match$
#variable_conflict use_variable
begin
    return (
        select pg_catalog.string_agg(
                   pg_catalog.format('%1$s operator(pg_catalog.=) %2$s',
                                     case when c.as_text then journal.undo_live(alias, c.name, true, c.live_type, c.base_type) else alias || '.' || c.name end,
                                     pg_catalog.format(image, c.attnum)), ' and ' order by c.key_position)
          from pg_temp.journal_undo_column c
         where c.relation = undo_key_match.relation and c.key_position is not null
    );
end
$undo_key_match$;

comment on function journal.undo_key_match(oid, text, text) is 'SQL text that finds a live row by the key in an image. Private.';

-- sql/journal/rollback/undo_key_attnums.sql
-- The key columns of a table under rollback.
create function journal.undo_key_attnums(relation oid) returns int2[]
language plpgsql stable
as $undo_key_attnums$
#variable_conflict use_variable
begin
    return (
        select pg_catalog.array_agg(c.attnum order by c.key_position)
          from pg_temp.journal_undo_column c
         where c.relation = undo_key_attnums.relation and c.key_position is not null
    );
end
$undo_key_attnums$;

comment on function journal.undo_key_attnums(oid) is 'Attnums of the key of a table under rollback. Private.';

-- sql/journal/rollback/undo_maintained.sql
-- Columns that are left to the table's own triggers: found by probing or declared. Generated columns have no image.
create function journal.undo_maintained(relation oid) returns int2[]
language plpgsql stable
as $undo_maintained$
#variable_conflict use_variable
begin
    return (
        select coalesce(pg_catalog.array_agg(c.attnum), '{}')
          from pg_temp.journal_undo_column c
          join pg_temp.journal_undo u using (relation)
         where c.relation = undo_maintained.relation and (c.maintained or c.attnum = any (u.maintained))
    );
end
$undo_maintained$;

comment on function journal.undo_maintained(oid) is 'Maintained columns of a table under rollback. Private.';

-- sql/journal/rollback/undo_counters.sql
-- Counter columns of a table under rollback: those that many add to, undone by their difference.
create function journal.undo_counters(relation oid) returns int2[]
language plpgsql stable
as $undo_counters$
#variable_conflict use_variable
begin
    return (
        select coalesce(array_agg(c.attnum), '{}')
          from pg_temp.journal_undo_column c
         where c.relation = undo_counters.relation and c.counter and c.carried and c.problem is null and c.key_position is null and not c.as_text
    );
end
$undo_counters$;

comment on function journal.undo_counters(oid) is 'Counter columns of a table under rollback. Private.';

-- sql/journal/rollback/undo_adjusted.sql
-- SQL text: the counters of row u that are undone by their difference. A value that is or was NULL has none: then a counter is a column like any other.
create function journal.undo_adjusted(relation oid) returns text
language plpgsql stable
as $undo_adjusted$
#variable_conflict use_variable
begin
    return (
        select coalesce(format('array_remove(array[%s]::int2[], null)', string_agg(format('case when u.a%1$s - u.b%1$s is not null then %1$s end', c), ', ')), '''{}''::int2[]')
          from unnest(journal.undo_counters(relation)) c
    );
end
$undo_adjusted$;

comment on function journal.undo_adjusted(oid) is 'SQL text: the counters of a row that have a difference. Private.';

-- sql/journal/rollback/undo_image_key.sql
-- SQL text that tells a change of a work table (alias u) from all others of its statement: the key of its row before and after it.
create function journal.undo_image_key(relation oid) returns text
language sql stable
begin atomic
    select pg_catalog.format('pg_catalog.format(''%%s'', row(%s))', journal.undo_list(undo_image_key.relation, 'u.b%1$s, u.a%1$s', ', ', 'key'));
end;

comment on function journal.undo_image_key(oid) is 'SQL text that names one change of a statement. Private.';

-- sql/journal/rollback/undo_trace.sql
-- Where keys changed, a row is followed through its keys: an image continues the last one that left a row at its key.
-- Events of a key in order of images; an odd mark says that the row had moved away from there.
create function journal.undo_trace(relation oid) returns void
language plpgsql volatile
as $undo_trace$
#variable_conflict use_variable
begin
    execute format($trace$
        with recursive image as materialized (
            select u.row_no, u.kind, pg_catalog.format('%%s', row(%2$s)) as before_key, pg_catalog.format('%%s', row(%3$s)) as after_key
              from pg_temp.%1$I u
        ), event as (
            select row_no, 0 as phase, case kind when 'I' then after_key else before_key end as at, null::bigint as mark, true as asks from image
            union all
            select row_no, 1, before_key, 2 * row_no + 1, false from image where kind = 'U' and before_key <> after_key
            union all
            select row_no, 2, case kind when 'D' then before_key else after_key end, 2 * row_no, false from image
        ), asked as (
            select row_no, asks, max(mark) over (partition by at order by row_no, phase rows between unbounded preceding and 1 preceding) as mark
              from event
        ), link as materialized (
            select row_no, case when mark %% 2 = 0 then mark / 2 end as previous from asked where asks
        ), chain as (
            select row_no, row_no as identity from link where previous is null
            union all
            select l.row_no, c.identity from link l join chain c on c.row_no = l.previous
        )
        update pg_temp.%1$I u
           set identity = c.identity, images = c.images
          from (select row_no, identity, count(*) over (partition by identity) as images from chain) c
         where c.row_no = u.row_no$trace$,
        'journal_image_' || relation, journal.undo_list(relation, 'u.b%1$s', ', ', 'key'), journal.undo_list(relation, 'u.a%1$s', ', ', 'key'));
end
$undo_trace$;

comment on function journal.undo_trace(oid) is 'Follows rows through changed keys. Private.';

-- sql/journal/rollback/undo_trace_deferrable.sql
-- undo_trace for a key that is deferrable: until it is checked several rows may stand at one key, so the key alone does not tell which of them an
-- image continues. Inside a transaction it continues the one that was left just so; not one that came to the key in the same
-- statement, unless foreign keys take rows of this table along. What a trigger did to a row of the very statement is recorded before it: then the image
-- goes before the one that began where it ended. Columns that an image does not hold (elided) tell nothing.
create function journal.undo_trace_deferrable(relation oid) returns void
language plpgsql volatile
as $undo_trace_deferrable$
#variable_conflict use_variable
declare
    image    record;
    before   record;
    followed bigint;
    dragged constant boolean := exists (select from journal.undo_foreign_keys(relation) f
                                         where f.child = undo_trace_deferrable.relation and f.on_update not in ('a', 'r') and f.child_attnums && journal.undo_key_attnums(relation));
    holds  constant text := 'array[' || journal.undo_list(relation, 'case when %1$s <> all (coalesce(u.elided, ''{}'')) then coalesce(''='' || case when u.%%1$s%1$s is not null then pg_catalog.format(''%%%%s'', u.%%1$s%1$s) end, '''') end', ', ') || ']::text[]';
begin
    create temporary table journal_stands (row_key text, identity bigint, transaction_id xid8, came_by bigint, gone boolean, holds text[], depth smallint, began_at text, began text[]) on commit drop;
    create index on pg_temp.journal_stands (row_key);
    create index on pg_temp.journal_stands (began_at);
    for image in execute format('select u.row_no, u.transaction_id, u.statement_id, u.kind, u.depth, format(''%%s'', row(%1$s)) as before_key, format(''%%s'', row(%2$s)) as after_key, %3$s as before, %4$s as after from pg_temp.%5$I u order by u.row_no',
                                journal.undo_list(relation, 'u.b%1$s', ', ', 'key'), journal.undo_list(relation, 'u.a%1$s', ', ', 'key'), format(holds, 'b'), format(holds, 'a'), 'journal_image_' || relation)
    loop
        delete from pg_temp.journal_stands d
         where d.ctid = (
               select s.ctid from pg_temp.journal_stands s
                where s.row_key = case image.kind when 'I' then image.after_key else image.before_key end and s.gone = (image.kind = 'I')
                  and (s.came_by is distinct from image.statement_id or dragged)
                  and (s.gone or s.transaction_id <> image.transaction_id or not exists (select from unnest(s.holds, image.before) as h (theirs, ours) where h.theirs <> h.ours))
                order by s.identity desc limit 1)
        returning d.* into before;
        if before.identity is null then
            update pg_temp.journal_stands s
               set depth = image.depth, began_at = case when image.kind = 'U' then image.before_key end, began = image.before
             where s.ctid = (
                   select s.ctid from pg_temp.journal_stands s
                    where s.began_at = image.after_key and image.kind <> 'D' and s.depth > image.depth and s.transaction_id = image.transaction_id
                      and not exists (select from unnest(s.began, image.after) as h (theirs, ours) where h.theirs <> h.ours)
                    order by s.identity desc limit 1)
            returning s.identity into followed;
            if found then
                execute format('update pg_temp.%I set identity = $1 where row_no = $2', 'journal_image_' || relation) using followed, image.row_no;
                continue;
            end if;
        end if;
        insert into pg_temp.journal_stands
        values (case image.kind when 'D' then image.before_key else image.after_key end, coalesce(before.identity, image.row_no), image.transaction_id,
                case when image.before_key <> image.after_key then image.statement_id end, image.kind = 'D', image.after,
                case when before.transaction_id = image.transaction_id then before.depth else image.depth end,
                case when before.transaction_id = image.transaction_id then before.began_at when image.kind <> 'I' then image.before_key end,
                case when before.transaction_id = image.transaction_id then before.began else image.before end);
        execute format('update pg_temp.%I set identity = $1 where row_no = $2', 'journal_image_' || relation) using coalesce(before.identity, image.row_no), image.row_no;
    end loop;
    drop table pg_temp.journal_stands;
    execute format('update pg_temp.%1$I u set images = c.images from (select identity, count(*) as images from pg_temp.%1$I group by identity) c where c.identity = u.identity',
                   'journal_image_' || relation);
end
$undo_trace_deferrable$;

comment on function journal.undo_trace_deferrable(oid) is 'Follows rows through changed keys of which several rows may have one for a time. Private.';

-- sql/journal/rollback/undo_folded.sql
-- The image columns of a folded row. A key that did not change stands in no net change: it is taken from the images. Where
-- others changed a counter in between, what the session added is the sum of its own differences; of a row that it deleted in the
-- end, what is left of that sum is what others have there.
create function journal.undo_folded(relation oid) returns text
language plpgsql stable
as $undo_folded$
#variable_conflict use_variable
begin
    return (
        select pg_catalog.string_agg(
                   case when c.attnum = any (journal.undo_counters(relation))
                        then pg_catalog.format('case when f.was_there then coalesce((-w.d%1$s)::%2$s, f.b%1$s) else f.b%1$s end as b%1$s, coalesce((f.b%1$s + w.d%1$s)::%2$s, f.a%1$s) as a%1$s', c.attnum, c.image_type)
                        when c.key_position is null then pg_catalog.format('f.b%1$s as b%1$s, f.a%1$s as a%1$s', c.attnum)
                        else pg_catalog.format('case when %1$s = any (f.changed) then f.b%1$s else w.k%1$s end as b%1$s, case when %1$s = any (f.changed) then f.a%1$s else w.k%1$s end as a%1$s', c.attnum) end,
                   ', ' order by c.attnum)
          from pg_temp.journal_undo_column c
         where c.relation = undo_folded.relation and c.carried
    );
end
$undo_folded$;

comment on function journal.undo_folded(oid) is 'SQL text of the image columns of a folded row. Private.';

-- sql/journal/rollback/undo_source.sql
-- SQL text: the images of the sessions on one table as rows i, with their place, kind (U, I, D) and the columns that differ. The limit, one
-- more than the ledger counts, tells the planner how many to expect: it decides whether the table is read by its key or as a whole.
create function journal.undo_source(relation oid) returns text
language plpgsql stable
as $undo_source$
#variable_conflict use_variable
declare
    inserted     constant text := journal.undo_list(relation, 'i.o%1$s is null', ' and ', 'key');
    deleted      constant text := journal.undo_list(relation, 'i.n%1$s is null', ' and ', 'key');
    args         record;
begin
    select a.session_ids, a.step_ids, u.loaded, u.segments, u.only_updates into args
      from pg_temp.journal_undo_args a, pg_temp.journal_undo u where u.relation = undo_source.relation;
    return format($source$
        select i.ordinality as place, i.statement_id, i.transaction_id, i.ledger_xmin, i.same_cluster, i.depth, i.elided, %1$s as kind, %2$s as changed, %3$s
          from (select * from rows from (journal.undo_images(%4$s, %8$L, %9$L, %11$L, %5$L)
                    as (statement_id bigint, transaction_id xid8, ledger_xmin xid, same_cluster boolean, depth smallint, elided int2[], %6$s, %7$s)) with ordinality as i
                 limit %10$s) i$source$,
        case when args.only_updates then '''U''::text' else format('case when %s then ''I'' when %s then ''D'' else ''U'' end', inserted, deleted) end,
        case when args.only_updates then journal.undo_changed(relation)
             else format('case when %s or %s then ''{}'' else %s end', inserted, deleted, journal.undo_changed(relation)) end,
        journal.undo_list(relation, 'i.o%1$s as b%1$s, i.n%1$s as a%1$s', ', '),
        relation,
        (select array_agg(c.attnum) from pg_temp.journal_undo_column c where c.relation = undo_source.relation and c.carried),
        journal.undo_list(relation, 'o%1$s %3$s', ', '), journal.undo_list(relation, 'n%1$s %3$s', ', '),
        args.session_ids, args.step_ids, args.loaded + 1, args.segments);
end
$undo_source$;

comment on function journal.undo_source(oid) is 'SQL text: the images of the sessions on one table. Private.';

-- sql/journal/rollback/undo_identify.sql
-- Finds the rows that a session touched more than once: by key, or, where keys changed, by following them. Their images go
-- into a table of their own, with the identity they share, numbered behind all that the work table holds. Returns whether there are any.
create function journal.undo_identify(relation oid) returns boolean
language plpgsql volatile
as $undo_identify$
#variable_conflict use_variable
declare
    args  record;
    moved boolean;
    twice boolean := false;
begin
    select u.loaded, u.standing, u.changed into args from pg_temp.journal_undo u where u.relation = undo_identify.relation;
    moved := args.changed && journal.undo_key_attnums(relation);
    if args.loaded > 1 then
        execute format('select exists (select from pg_temp.%I u group by %s having count(*) > 1)', 'journal_undo_' || relation,
                       journal.undo_list(relation, 'coalesce(u.a%1$s, u.b%1$s)', ', ', 'key')) into twice;
    end if;
    if not moved and not twice then
        return false;
    end if;
    execute format($images$
        create temporary table %1$I on commit drop as
        select i.*, min(i.row_no) over w as identity, count(*) over w as images
          from (select row_number() over (order by i.statement_id) + %4$s as row_no, i.*, i.statement_id = any (%5$L::bigint[]) as standing from (%2$s) i) i
        window w as (partition by %3$s)$images$,
        'journal_image_' || relation, journal.undo_source(relation), journal.undo_list(relation, 'coalesce(i.a%1$s, i.b%1$s)', ', ', 'key'),
        args.loaded, args.standing);
    if moved and exists (select from journal.unique_columns(relation) i where i.primary_key and not i.immediate) then
        execute format('create index on pg_temp.%I (row_no)', 'journal_image_' || relation);
        perform journal.undo_trace_deferrable(relation);
    elsif moved then
        perform journal.undo_trace(relation);
    end if;
    return true;
end
$undo_identify$;

comment on function journal.undo_identify(oid) is 'Finds the rows that a session touched more than once. Private.';

-- sql/journal/rollback/undo_differing.sql
-- SQL text: the first column in which the live row t is not what the given side of the images says, or null.
create function journal.undo_differing(relation oid, side text, applies text default 'true') returns text
language plpgsql stable
as $undo_differing$
begin
    return (
        select coalesce('coalesce(' || string_agg(
                   format('case when %s and %s then %s::int2 end', format(applies, c.attnum),
                          journal.differs(journal.undo_live('t', c.name, c.as_text, c.live_type, c.base_type), format(side, c.attnum), c.image_type), c.attnum),
                   ', ' order by c.attnum) || ')', 'null::int2')
          from pg_temp.journal_undo_column c
          join pg_temp.journal_undo u using (relation)
         where c.relation = undo_differing.relation and c.carried and c.problem is null and not c.maintained and c.attnum <> all (u.maintained)
    );
end
$undo_differing$;

comment on function journal.undo_differing(oid, text, text) is 'SQL text: the first column in which a live row differs from images. Private.';

-- sql/journal/rollback/undo_judge.sql
-- SQL text that gives rows their status, from the images and the live row, in one pass over a source of folded rows. Those
-- that somebody wrote after the session (their xmin is not that of the session's last statement) are left to
-- undo_trace_others. The inner select is fenced by offset 0, so that what it computes is computed once. What every later pass
-- reads stands before the images, which it would have to walk through. image_key is only for rows that stand under another key than their image.
create function journal.undo_judge(relation oid, source text) returns text
language plpgsql stable
as $undo_judge$
#variable_conflict use_variable
begin
    return format($judge$
        select x.live and x.same_cluster and (x.live_xmin = x.xmin_left or x.live_xmin = any (x.xmins)) is true as traced,
               case when x.kind = 'N' then 'noop'
                    when x.broken is not null then 'conflict'
                    when x.kind = 'U' then case when cardinality(x.restored) = 0 then 'noop' when x.live and x.culprit is null then 'restore' else 'conflict' end
                    when x.kind = 'I' then case when not x.live then 'noop' when x.culprit is null then 'remove' else 'conflict' end
                    when not x.live then 'reinsert'
                    when x.culprit is null then 'noop'
                    else 'conflict' end as status,
               case when x.live and x.culprit is null and x.broken is null then null  -- nearly always
                    when x.kind = 'N' then null
                    when x.broken is not null then 'changed_since'
                    when x.kind = 'U' and cardinality(x.restored) = 0 then null
                    when x.kind = 'U' and not x.live then 'deleted_since'
                    when x.kind = 'D' and x.culprit is not null then 'key_reused'
                    when x.kind <> 'D' and x.live and x.culprit is not null then 'changed_since' end as reason,
               false as forced, x.*, null::text as constraint_name, null::bigint as their_statement, null::text as theirs,
               null::oid as their_relation, null::text as their_key, null::int2[] as meddled, false as moved, null::text as image_key
          from (select %1$s as restored, t.ctid is not null as live, t.xmin as live_xmin,
                       case when u.broken is not null then u.broken[1] when t.ctid is not null then %2$s end as culprit, u.*
                  from %3$s u
                  left join %4$s t on %5$s
                offset 0) x$judge$,
        case when journal.undo_maintained(relation) = '{}' then 'u.changed'
             else format('array(select c from unnest(u.changed) c where c <> all (%L::int2[]))', journal.undo_maintained(relation)) end,
        case when (select u.only_updates from pg_temp.journal_undo u where u.relation = undo_judge.relation)
             then journal.undo_differing(relation, 'u.a%s', '%s = any (u.changed)')
             else format('case when u.kind = ''D'' then %s else %s end', journal.undo_differing(relation, 'u.b%s'),
                         journal.undo_differing(relation, 'u.a%s', '(u.kind = ''I'' or %s = any (u.changed))')) end,
        source, journal.undo_rows(relation), journal.undo_key_match(relation, 'coalesce(u.a%1$s, u.b%1$s)'));
end
$undo_judge$;

comment on function journal.undo_judge(oid, text) is 'SQL text that gives folded rows their status. Private.';

-- sql/journal/rollback/undo_changed.sql
-- SQL text: the columns in which the two images of i differ. Only columns that some update changed are looked at.
create function journal.undo_changed(relation oid) returns text
language plpgsql stable
as $undo_changed$
begin
    return (
        select case count(*)
               when 0 then '''{}''::int2[]'
               when 1 then format('case when %s then ''{%s}''::int2[] else ''{}'' end', min(d.differs), min(d.attnum))
               else format('array_remove(array[%s], null)', string_agg(format('case when %s then %s::int2 end', d.differs, d.attnum), ', ' order by d.attnum)) end
          from (select c.attnum, journal.differs('i.o' || c.attnum, 'i.n' || c.attnum, c.image_type) as differs
                  from pg_temp.journal_undo_column c
                  join pg_temp.journal_undo u using (relation)
                 where c.relation = undo_changed.relation and c.carried and c.attnum = any (u.changed)) d
    );
end
$undo_changed$;

comment on function journal.undo_changed(oid) is 'SQL text: the columns in which two images differ. Private.';

-- sql/journal/rollback/undo_between.sql
-- What others journaled on rows between two transactions of the session that wrote them, changed null where they inserted or
-- deleted the row, or gave it another key. Values may fit together although others have changed them, and changed them back.
create function journal.undo_between(relation oid) returns void
language plpgsql volatile
as $undo_between$
#variable_conflict use_variable
declare
    before_key constant text := pg_catalog.format('pg_catalog.format(''%%s'', row(%s))', journal.undo_list(relation, 'i.b%1$s', ', ', 'key'));
    after_key  constant text := pg_catalog.format('pg_catalog.format(''%%s'', row(%s))', journal.undo_list(relation, 'i.a%1$s', ', ', 'key'));
begin
    execute format($between$
        create temporary table %1$I on commit drop as
        with visit as (
            select i.identity, i.statement_id, i.transaction_id, case when i.kind = 'I' then %3$s else %4$s end as came_to,
                   lag(i.statement_id) over w as since, lag(i.transaction_id) over w as previous, lag(case when i.kind = 'D' then %4$s else %3$s end) over w as left_at
              from pg_temp.%2$I i
             where i.images > 1
            window w as (partition by i.identity order by i.statement_id)
        ), gap as materialized (
            select v.identity, v.since, v.statement_id as until, k.row_key
              from visit v cross join lateral (select v.came_to union select v.left_at) as k (row_key)
             where v.previous <> v.transaction_id
        ), gaps as (
            select min(since) as since, max(until) as until, array_agg(distinct row_key) as keys from gap having count(*) > 0
        )
        select distinct g.identity, o.statement_id, case when not o.whole and o.moved_to is null then o.changed end as changed
          from gaps s
         cross join pg_temp.journal_undo_args a
         cross join lateral journal.undo_others(%5$s, a.session_ids, a.step_ids, s.since, s.keys, s.until) o
          join gap g on g.row_key = o.row_key and o.statement_id > g.since and o.statement_id < g.until
         where not o.family$between$,
        'journal_between_' || relation, 'journal_image_' || relation, after_key, before_key, relation);
    execute format('create index on pg_temp.%I (identity)', 'journal_between_' || relation);
end
$undo_between$;

comment on function journal.undo_between(oid) is 'What others did to rows between two visits of a session. Private.';

-- sql/journal/rollback/undo_part.sql
-- Where others deleted, inserted or moved the row at a key between two visits of the session, it met two rows there: what it did
-- to each stands for itself, and the one that they moved away is looked for where they put it. Returns whether there were any.
create function journal.undo_part(relation oid) returns boolean
language plpgsql volatile
as $undo_part$
#variable_conflict use_variable
declare
    parted bigint;
begin
    execute format($part$
        with course as (
            select i.row_no, i.identity, i.statement_id, lag(i.statement_id) over (partition by i.identity order by i.row_no) as since
              from pg_temp.%1$I i
             where i.identity in (select o.identity from pg_temp.%2$I o where o.changed is null)
        ), stay as (
            select c.row_no, c.identity, count(*) filter (where exists (
                       select from pg_temp.%2$I o where o.identity = c.identity and o.changed is null and o.statement_id > c.since and o.statement_id < c.statement_id))
                   over (partition by c.identity order by c.row_no) as stay
              from course c
        )
        update pg_temp.%1$I i
           set identity = p.identity, images = p.images
          from (select s.row_no, min(s.row_no) over w as identity, count(*) over w as images from stay s window w as (partition by s.identity, s.stay)) p
         where p.row_no = i.row_no$part$,
        'journal_image_' || relation, 'journal_between_' || relation);
    get diagnostics parted = row_count;
    return parted > 0;
end
$undo_part$;

comment on function journal.undo_part(oid) is 'Tells rows apart that a session met at one key. Private.';

-- sql/journal/rollback/undo_fold.sql
-- Folds what a session touched more than once into one row: per column, what was before and what it left behind.
-- Inside a transaction the order of statements says nothing (nested triggers record the inner one first), so the ends of
-- a column's walk through its values are found as a multiset difference: a value it left more often than it came to is
-- the first, the reverse is the last. Between transactions the order of statement ids holds; where the end of one is not
-- the beginning of the next, or the journal knows of others in between, the session came anew. What it did between two such
-- breaks and took back itself is nothing; where something is left on both sides of a break, or before one, no value is right
-- for all: the column is broken. Depth 0 says that both the session and its triggers wrote the row. What a standing rollback did ends what it took
-- back, whatever it met there; what it did to others' columns, or to others' rows, is left out.
create function journal.undo_fold(relation oid) returns void
language plpgsql volatile
as $undo_fold$
#variable_conflict use_variable
declare
    work constant text := 'journal_undo_' || relation;
    between constant text := 'journal_between_' || relation;
    same constant text := journal.undo_image_key(relation);
begin
    perform journal.undo_between(relation);
    if journal.undo_part(relation) then
        perform journal.undo_drop(between), journal.undo_between(relation);
    end if;
    execute format($fold$
        create temporary table %6$I on commit drop as
        with image as materialized (
            select * from (select *, array[ledger_xmin] as xmins, bool_and(standing) over (partition by identity) as alone from pg_temp.%1$I where images > 1) i where not alone
        ), cell as (
            select i.identity, i.transaction_id, i.statement_id, i.standing, c.attnum, c.side, c.there, c.value
              from image i
             cross join lateral (values (0::int2, 1, i.kind <> 'I', null::text), (0::int2, -1, i.kind <> 'D', null::text), %2$s)
                   as c (attnum, side, there, value)
             where c.attnum <> all (coalesce(i.elided, '{}'))
        ), net as (
            select identity, attnum, transaction_id, min(statement_id) as at, bool_and(standing) as standing, there, value, sum(side) as net
              from cell
             group by identity, attnum, transaction_id, there, value
            having sum(side) <> 0
        ), walk as (
            select identity, attnum, transaction_id, min(at) as at, bool_and(standing) as standing, bool_or(abs(net) > 1) or count(*) > 2 as torn,
                   bool_or(there) filter (where net > 0) as before_there, max(value) filter (where net > 0) as before,
                   bool_or(there) filter (where net < 0) as after_there, max(value) filter (where net < 0) as after
              from net
             group by identity, attnum, transaction_id
        ), begun as (
            select *, bool_and(standing) over (partition by identity, attnum order by at) as others from walk
        ), chain as (
            select *, lag(after) over w as their_after, lag(after_there) over w as their_there, lag(at) over w as since, lead(at) over w as next
              from begun
             where not others
            window w as (partition by identity, attnum order by at)
        ), met as (
            select c.*, since is not null and not standing and ((their_after, their_there) is distinct from (before, before_there) or %8$s) as anew, next is null and %9$s as left_to_others
              from chain c
        ), run as (
            select *, count(*) filter (where anew) over (partition by identity, attnum order by at) as run,
                   bool_or(left_to_others) over (partition by identity, attnum) as met_later from met
        ), piece as (
            select identity, attnum, run, (array_agg(before order by at))[1] as before, (array_agg(before_there order by at))[1] as before_there,
                   (array_agg(after order by at desc))[1] as after, (array_agg(after_there order by at desc))[1] as after_there,
                   bool_or(torn) as torn, bool_or(met_later) as met_later, max(run) over (partition by identity, attnum) as runs
              from run
             group by identity, attnum, run
        ), ends as (
            select identity, attnum, (array_agg(before order by run))[1] as before, (array_agg(before_there order by run))[1] as before_there,
                   (array_agg(after order by run desc))[1] as after, (array_agg(after_there order by run desc))[1] as after_there,
                   bool_or(torn) or min(run) < max(runs) or bool_or(met_later) as broken
              from piece
             where torn or (before, before_there) is distinct from (after, after_there)
             group by identity, attnum
        ), changed as (
            select * from ends where (before, before_there) is distinct from (after, after_there) or broken
        ), folded as (
            select identity,
                   bool_or(before_there) filter (where attnum = 0) as was_there, bool_or(after_there) filter (where attnum = 0) as is_there,
                   array_agg(attnum order by attnum) filter (where attnum > 0) as changed, array_agg(attnum order by attnum) filter (where broken) as broken, %3$s
              from changed
             group by identity
        ), whole as (
            select identity, min(row_no) as row_no, count(*) filter (where not standing) as images, min(statement_id) as first_statement, max(statement_id) as last_statement,
                   (array_agg(transaction_id order by statement_id desc))[1] as transaction_id, bool_and(same_cluster) as same_cluster, case when min(depth) <= 1 and max(depth) > 1 then 0::smallint else min(depth) end as depth, %4$s
              from image
             group by identity
        ), last_write as (
            select i.identity, array_agg(x) as xmins from image i join whole w using (identity, transaction_id), unnest(i.xmins) x group by i.identity
        )
        select w.row_no, w.images::integer as images,
               case when f.identity is null then 'N' when f.was_there is null then 'U' when f.was_there then 'D' else 'I' end::text as kind,
               w.first_statement, w.last_statement, null::xid as xmin_left, l.xmins, w.same_cluster, w.depth,
               case when f.was_there is null then coalesce(f.changed, '{}') else '{}' end as changed, nullif(array(select c from unnest(f.broken) c where c <> all (%7$L::int2[]) %10$s), '{}') as broken, %5$s
          from whole w
          join last_write l using (identity)
          left join folded f using (identity)$fold$,
        'journal_image_' || relation,
        journal.undo_list(relation, '(%1$s::int2, 1, i.kind <> ''I'', case when i.b%1$s is not null then pg_catalog.format(''%%s'', i.b%1$s) end), '
                                    '(%1$s::int2, -1, i.kind <> ''D'', case when i.a%1$s is not null then pg_catalog.format(''%%s'', i.a%1$s) end)', ', '),
        journal.undo_list(relation, 'max(before) filter (where attnum = %1$s)::%3$s as b%1$s, max(after) filter (where attnum = %1$s)::%3$s as a%1$s', ', '),
        journal.undo_list(relation, '(array_agg(pg_catalog.format(''%%s'', coalesce(a%1$s, b%1$s)) order by row_no desc))[1]::%3$s as k%1$s', ', ', 'key')
        || coalesce((select string_agg(format(', case when bool_or(%1$s <> all (coalesce(elided, ''{}'')) and (kind <> ''I'' and b%1$s is null or kind <> ''D'' and a%1$s is null)) is not true'
                                              ' then sum(a%1$s) - sum(b%1$s) end as d%1$s', c.attnum), '')
                       from pg_temp.journal_undo_column c where c.relation = undo_fold.relation and c.attnum = any (journal.undo_counters(relation))), ''),
        journal.undo_folded(relation), 'journal_fold_' || relation, journal.undo_maintained(relation),
        format('exists (select from pg_temp.%I o where o.identity = c.identity and o.statement_id > c.since and o.statement_id < c.at and (o.changed is null or c.attnum = any (o.changed)))', between),
        format('exists (select from pg_temp.%I o where o.identity = c.identity and o.statement_id > c.at and (o.changed is null or c.attnum = any (o.changed)))', between),
        coalesce((select string_agg(format('and (c <> %1$s or w.d%1$s is null or not f.was_there)', c), ' ') from unnest(journal.undo_counters(relation)) c), ''));
    execute format('delete from pg_temp.%1$I u where (u.first_statement, %2$s) in (select u.statement_id, %2$s from pg_temp.%3$I u where u.images > 1)',
                   work, same, 'journal_image_' || relation);
    execute format('insert into pg_temp.%I %s', work, journal.undo_judge(relation, 'pg_temp.journal_fold_' || relation));
end
$undo_fold$;

comment on function journal.undo_fold(oid) is 'Folds rows that a session touched more than once. Private.';

-- sql/journal/rollback/undo_group.sql
-- Counts the rows of a work table by what is done with them: one pass, from which everything is read that concerns many rows.
-- To be called whenever statuses may have changed.
create function journal.undo_group(relation oid) returns void
language plpgsql volatile
as $undo_group$
#variable_conflict use_variable
begin
    delete from pg_temp.journal_undo_group g where g.relation = undo_group.relation;
    execute format($group$
        insert into pg_temp.journal_undo_group
        select %1$s, g.status, g.kind, g.by_triggers, g.forced, g.untraced, g.changed, case when g.status = 'restore' then coalesce(g.less, g.changed) end, g.rows, g.changes
          from (select u.status, u.kind, u.depth > 1 as by_triggers, u.forced, u.live and not u.traced as untraced, u.changed,
                       nullif(u.restored, u.changed) as less,  -- mostly null, and nulls are cheaper to group than arrays
                       count(*) as rows, sum(u.images) as changes
                  from pg_temp.journal_undo_%1$s u
                 group by 1, 2, 3, 4, 5, 6, 7) g$group$, relation);
    update pg_temp.journal_undo u
       set restored = array(select distinct c from pg_temp.journal_undo_group g, unnest(g.restored) c where g.relation = undo_group.relation order by c),
           removes = exists (select from pg_temp.journal_undo_group g where g.relation = undo_group.relation and g.status = 'remove'),
           reinserts = exists (select from pg_temp.journal_undo_group g where g.relation = undo_group.relation and g.status = 'reinsert')
     where u.relation = undo_group.relation;
end
$undo_group$;

comment on function journal.undo_group(oid) is 'Counts the rows of a work table by what is done with them. Private.';

-- sql/journal/rollback/undo_rebase.sql
-- Moves what a session did to counters on to where they stand now: the row gets back what it has less what the session added,
-- whatever others added since. Values that are or were NULL have no difference; they are compared like any other.
create function journal.undo_rebase(relation oid) returns void
language plpgsql volatile
as $undo_rebase$
#variable_conflict use_variable
begin
    if not exists (select from pg_temp.journal_undo u where u.relation = undo_rebase.relation and u.changed && journal.undo_counters(relation)) then
        return;
    end if;
    execute (
        select format($rebase$
            update pg_temp.journal_undo_%1$s u set %2$s
              from %3$s t
             where %4$s and u.kind = 'U' and u.live and u.broken is null and u.restored && %5$L$rebase$,
            relation,
            string_agg(format('b%1$s = case when %1$s = any (u.restored) and u.a%1$s - u.b%1$s is not null and t.%2$s is not null then t.%2$s - (u.a%1$s - u.b%1$s) else u.b%1$s end, '
                              'a%1$s = case when %1$s = any (u.restored) and u.a%1$s - u.b%1$s is not null and t.%2$s is not null then t.%2$s else u.a%1$s end', c.attnum, c.name), ', '),
            journal.undo_rows(relation), journal.undo_key_match(relation, 'u.a%1$s'), journal.undo_counters(relation))
          from pg_temp.journal_undo_column c
         where c.relation = undo_rebase.relation and c.attnum = any (journal.undo_counters(relation)));
    execute format('update pg_temp.journal_undo_%1$s u set status = ''restore'', reason = null, culprit = null
                      from %2$s t
                     where %3$s and u.kind = ''U'' and u.live and u.reason = ''changed_since'' and u.broken is null and u.culprit = any (%4$L) and u.their_statement is null and %5$s is null',
                   relation, journal.undo_rows(relation), journal.undo_key_match(relation, 'u.a%1$s'), journal.undo_counters(relation),
                   journal.undo_differing(relation, 'u.a%s', '%s = any (u.changed)'));
    perform journal.undo_group(relation);
end
$undo_rebase$;

comment on function journal.undo_rebase(oid) is 'Moves changes of counters on to where these stand now. Private.';

-- sql/journal/rollback/undo_reconsider.sql
-- The second look at rows that did not match at the first: those that are as they were before the session already need
-- nothing, whoever put them there; those that somebody wrote after the session are judged by the journal.
create function journal.undo_reconsider(relation oid) returns void
language plpgsql volatile
as $undo_reconsider$
#variable_conflict use_variable
declare
    suspicious boolean;
    met        bigint := 0;  -- deleted rows that met one of the session's own
    reshaped   constant boolean := exists (select from pg_temp.journal_undo_column c where c.relation = undo_reconsider.relation and (c.problem is not null or c.as_text or c.image_type is null and not c.generated));
begin
    perform journal.undo_group(relation);
    if exists (select from pg_temp.journal_undo_group g where g.relation = undo_reconsider.relation and g.untraced) then
        perform journal.undo_trace_displaced(relation), journal.undo_group(relation);
    end if;
    perform journal.undo_rebase(relation);
    suspicious := exists (select from pg_temp.journal_undo_group g where g.relation = undo_reconsider.relation and (g.status = 'conflict' or g.untraced));
    if exists (select from pg_temp.journal_undo_group g where g.relation = undo_reconsider.relation and g.kind = 'U' and g.status = 'conflict')
       and journal.undo_trace_rekeyed(relation) then
        perform journal.undo_group(relation), journal.undo_rebase(relation);
    end if;
    if suspicious then
        execute format('update pg_temp.journal_undo_%1$s u set status = ''noop'', reason = null
                          from %2$s t
                         where u.kind = ''U'' and u.status = ''conflict'' and u.broken is null and %3$s and %4$s is null',
                       relation, journal.undo_rows(relation), journal.undo_key_match(relation, 'u.a%1$s'),
                       journal.undo_differing(relation, 'u.b%s', '%s = any (u.changed)'));
    end if;
    if exists (select from pg_temp.journal_undo u where u.relation = undo_reconsider.relation and (u.removes or u.restored && journal.undo_key_attnums(relation))) then
        -- a deleted row does not meet itself in a row that the session put in its place and the rollback takes away
        execute format('update pg_temp.journal_undo_%1$s u set status = ''reinsert'', reason = null, culprit = null, live = false
                         where u.kind = ''D'' and u.live and u.broken is null and exists (
                               select from pg_temp.journal_undo_%1$s y
                                where y.row_no <> u.row_no and (y.status = ''remove'' or y.status = ''restore'' and y.restored && %2$L) and %3$s)',
                       relation, journal.undo_key_attnums(relation), journal.undo_list(relation, 'y.a%1$s = u.b%1$s', ' and ', 'key'));
        get diagnostics met = row_count;
    end if;
    if reshaped then
        perform journal.undo_check_columns(relation), journal.undo_check_texts(relation);
    end if;
    if suspicious then
        perform journal.undo_trace_others(relation);
    end if;
    if exists (select from pg_temp.journal_undo_group g where g.relation = undo_reconsider.relation and g.kind = 'I' and g.status = 'noop') then
        perform journal.undo_trace_moved(relation);
        met := met + 1;
    end if;
    if exists (select from pg_temp.journal_undo u where u.relation = undo_reconsider.relation and u.reinserts) or met > 0 then
        perform journal.undo_trace_deleted(relation);
        met := met + 1;
    end if;
    if (select a.partial from pg_temp.journal_undo_args a) then
        perform journal.undo_trace_siblings(relation);
        met := met + 1;
    end if;
    if suspicious or reshaped or met > 0 then
        perform journal.undo_group(relation);
    end if;
end
$undo_reconsider$;

comment on function journal.undo_reconsider(oid) is 'Looks again at rows that did not match. Private.';

-- sql/journal/rollback/undo_load.sql
-- Fills the work table of one table: one row per image (b before, a after), judged at once against the live rows. What a
-- session touched once, nearly always nearly everything, is final with that; the rest is folded and judged again.
create function journal.undo_load(relation oid) returns void
language plpgsql volatile
as $undo_load$
#variable_conflict use_variable
declare
    counted  bigint;
    standing bigint[];
    hashing  constant text := current_setting('enable_hashjoin');
    loaded   bigint;
begin
    select u.loaded, u.standing into counted, standing from pg_temp.journal_undo u where u.relation = undo_load.relation;
    -- Nothing is known of how the images spread over the table, so the planner would hash the table, which is the larger side, as a whole.
    -- To go through its key, from the first to the last or from one to the next, is never much slower.
    perform set_config('enable_hashjoin', 'off', true);
    execute format('create temporary table %I on commit drop as %s', 'journal_undo_' || relation, journal.undo_judge(relation, format(
        '(select i.place as row_no, 1 as images, i.kind, i.statement_id as first_statement, i.statement_id as last_statement, i.ledger_xmin as xmin_left, null::xid[] as xmins, '
        'i.same_cluster, i.depth, i.changed, null::int2[] as broken, %s from (%s) i)',
        journal.undo_list(relation, 'i.b%1$s, i.a%1$s', ', '), journal.undo_source(relation))));
    get diagnostics loaded = row_count;
    perform set_config('enable_hashjoin', hashing, true);
    if loaded <> counted then
        raise exception using
            errcode = 'JR032', message = format('the journal holds %s images of %s where its ledger counts %s', loaded, journal.qualified_name(relation), counted),
            hint = 'somebody wrote to the journal''s own tables: nothing can be taken back exactly; restore them from a backup';
    end if;
    -- a sample of 300 rows tells the planner how many rows have which status (without, it expects one and loops over the rest), and
    -- that no two have the same key: it hashes them and not the table, which is larger
    perform set_config('default_statistics_target', '1', true);
    execute format('analyze pg_temp.%I (status, kind, depth, restored, %s)', 'journal_undo_' || relation, journal.undo_list(relation, 'b%1$s, a%1$s', ', ', 'key'));
    if journal.undo_identify(relation) then
        perform journal.undo_fold(relation);
    end if;
    if standing <> '{}' then
        execute format('delete from pg_temp.journal_undo_%s d where d.xmins is null and d.first_statement = any ($1)', relation) using standing;
    end if;
    perform journal.undo_reconsider(relation);
end
$undo_load$;

comment on function journal.undo_load(oid) is 'Fills the work table of one table of a rollback. Private.';

-- sql/journal/rollback/undo_drop.sql
-- Drops a work table that an earlier rollback of the same transaction left.
create function journal.undo_drop(name text) returns void
language plpgsql volatile
as $undo_drop$
begin
    if to_regclass('pg_temp.' || quote_ident(name)) is not null then
        execute format('drop table pg_temp.%I', name);
    end if;
end
$undo_drop$;

comment on function journal.undo_drop(text) is 'Drops a work table of an earlier rollback. Private.';

-- sql/journal/rollback/undo_begin.sql
-- Lays out the work tables of one rollback: temporary, so that they belong to the caller and vanish with the transaction.
-- journal_undo lists the tables, journal_undo_column their columns, journal_undo_<oid> (undo_load) their rows.
create function journal.undo_begin(session_ids uuid[], step_ids uuid[]) returns void
language plpgsql volatile
as $undo_begin$
declare
    item   record;
    probed int2[];
begin
    perform journal.undo_drop('journal_undo'), journal.undo_drop('journal_undo_column'), journal.undo_drop('journal_undo_args'),
            journal.undo_drop('journal_undo_group');
    create temporary table journal_undo_args on commit drop as select undo_begin.session_ids, undo_begin.step_ids, journal.undo_is_part(undo_begin.session_ids, undo_begin.step_ids) as partial, null::uuid as rollback_id, false as thorough, false as skipping, false as releasing;
    create temporary table journal_undo on commit drop as
    select r.relation, r.table_name, r.images, r.standing, r.loaded, r.segments, r.first_statement, r.only_updates and not exists (select from pg_catalog.pg_partitioned_table p where p.partrelid = r.relation) as only_updates,
           case when r.obstacle is null then journal.qualified_name(r.relation) end as target, r.obstacle,
           case when r.obstacle is not null then '{}' else journal.undo_changed_columns(r.relation, session_ids, step_ids) end as changed,
           '{}'::int2[] as maintained, '{}'::int2[] as restored, false as moves, false as removes, false as reinserts, false as inline
      from journal.undo_relations(session_ids, step_ids) r;
    create temporary table journal_undo_column on commit drop as
    select u.relation, c.*, c.image_type is not null and (not u.only_updates or c.key_position is not null or c.attnum = any (u.changed)) as carried
      from pg_temp.journal_undo u, journal.undo_columns(u.relation, u.segments) c
     where u.target is not null;
    create index on pg_temp.journal_undo_column (relation);  -- asked for each table, many times over
    create temporary table journal_undo_group (
        relation oid, status text, kind text, by_triggers boolean, forced boolean, untraced boolean, changed int2[], restored int2[], rows bigint, changes bigint
    ) on commit drop;
    for item in select u.relation from pg_temp.journal_undo u where u.target is not null order by u.relation loop
        perform journal.undo_drop('journal_undo_' || item.relation), journal.undo_drop('journal_fold_' || item.relation),
                journal.undo_drop('journal_image_' || item.relation), journal.undo_drop('journal_between_' || item.relation);
        perform journal.check_readable(item.relation);
        probed := journal.undo_probe(item.relation);
        if probed <> '{}' then
            update pg_temp.journal_undo u set maintained = probed where u.relation = item.relation;
        end if;
        perform journal.undo_load(item.relation);
    end loop;
end
$undo_begin$;

comment on function journal.undo_begin(uuid[], uuid[]) is 'Lays out and fills the work tables of a rollback. Private.';

-- sql/journal/rollback/undo_pin.sql
-- Pins what would change the meaning of generated statements or of images kept as text, for the rest of the transaction, and
-- keeps the caller's values to go back to (undo_unpin) and for statements that run the user's triggers (undo_as_caller). Joins get
-- memory, since they are half of a large rollback; compiling statements that run once costs more than it saves.
-- It runs under the caller's search_path until it sets its own, hence the qualified names.
create function journal.undo_pin() returns void
language plpgsql volatile
as $undo_pin$
begin
    perform pg_catalog.set_config('journal.caller_settings', (
        select pg_catalog.jsonb_object_agg(s.name, pg_catalog.current_setting(s.name))
          from pg_catalog.unnest('{search_path,timezone,datestyle,intervalstyle,extra_float_digits,bytea_output,xmlbinary,xmloption,array_nulls,lc_monetary,standard_conforming_strings,transform_null_equals,lock_timeout,default_statistics_target,work_mem,jit,plan_cache_mode}'::pg_catalog.text[]) as s (name))::pg_catalog.text, true);
    perform pg_catalog.set_config(s.name, s.value, true)
       from (values ('search_path', 'pg_catalog, pg_temp'), ('timezone', 'UTC'), ('datestyle', 'ISO, MDY'), ('intervalstyle', 'postgres'), ('extra_float_digits', '1'),
                    ('bytea_output', 'hex'), ('xmlbinary', 'base64'), ('xmloption', 'content'), ('array_nulls', 'on'), ('lc_monetary', 'C'), ('standard_conforming_strings', 'on'), ('transform_null_equals', 'off'), ('jit', 'off'), ('plan_cache_mode', 'force_generic_plan'),
                    ('work_mem', greatest(pg_catalog.pg_size_bytes(pg_catalog.current_setting('work_mem')) / 1024, 65536)::pg_catalog.text)) as s (name, value);
end
$undo_pin$;

comment on function journal.undo_pin() is 'Pins the settings that a rollback depends on. Private.';

-- sql/journal/rollback/undo_unpin.sql
-- Gives the caller's settings back.
create function journal.undo_unpin() returns void
language plpgsql volatile
as $undo_unpin$
begin
    perform pg_catalog.set_config(s.key, s.value, true) from pg_catalog.jsonb_each_text(pg_catalog.current_setting('journal.caller_settings')::pg_catalog.jsonb) s;
end
$undo_unpin$;

comment on function journal.undo_unpin() is 'Gives the caller''s settings back after a rollback. Private.';

-- sql/journal/rollback/undo_as_caller.sql
-- A rollback reads under pinned settings, but what it writes runs the user's triggers, and they expect the caller's
-- search_path, time zone and date style.
create function journal.undo_as_caller(yes boolean) returns void
language plpgsql volatile
as $undo_as_caller$
declare
    caller constant pg_catalog.jsonb := pg_catalog.current_setting('journal.caller_settings')::pg_catalog.jsonb;
begin
    perform pg_catalog.set_config('timezone', case when yes then caller ->> 'timezone' else 'UTC' end, true),
            pg_catalog.set_config('datestyle', case when yes then caller ->> 'datestyle' else 'ISO, MDY' end, true),
            pg_catalog.set_config('plan_cache_mode', case when yes then caller ->> 'plan_cache_mode' else 'force_generic_plan' end, true),
            pg_catalog.set_config('search_path', case when yes then caller ->> 'search_path' else 'pg_catalog, pg_temp' end, true);
end
$undo_as_caller$;

comment on function journal.undo_as_caller(boolean) is 'Switches between the caller''s settings and the pinned ones. Private.';

-- sql/journal/rollback/undo_execute.sql
-- Runs a statement that writes to the user's tables under the caller's search_path, for the user's triggers. The text is
-- fully qualified, operators included.
create function journal.undo_execute(statement text) returns void
language plpgsql volatile
as $undo_execute$
begin
    perform journal.undo_as_caller(true);
    execute statement;
    perform journal.undo_as_caller(false);
end
$undo_execute$;

comment on function journal.undo_execute(text) is 'Runs a writing statement of a rollback under the caller''s search_path. Private.';

-- sql/journal/rollback/undo_probe.sql
-- Finds maintained columns: those that change even in an update that changes nothing (updated_at, a version number). One
-- row of each table with BEFORE UPDATE row triggers is updated to itself in a subtransaction that is rolled back. What
-- cannot be probed (no row, no right, a lock) counts as not maintained: at worst a conflict is reported.
create function journal.undo_probe(relation oid) returns int2[]
language plpgsql volatile
as $undo_probe$
#variable_conflict use_variable
declare
    maintained int2[];
    target     constant text := journal.undo_rows(relation);
    columns    text;
    themselves text;
    tests      text;
begin
    if not exists (select from pg_trigger t where t.tgrelid = relation and not t.tgisinternal and t.tgtype & 19 = 19 and t.tgenabled in ('O', 'A')) then
        return '{}';
    end if;
    select string_agg(c.name, ', ') filter (where settable), string_agg('x.' || c.name, ', ') filter (where settable),
           string_agg(format('case when pg_catalog.record_image_ne(row(x.%1$s), row(t.%1$s)) then %2$s end', c.name, c.attnum), ', ')
      into columns, themselves, tests
      from pg_temp.journal_undo_column c
      join pg_temp.journal_undo u using (relation)
      join pg_attribute a on a.attrelid = c.relation and a.attnum = c.attnum
     cross join lateral (select (c.attnum = any (u.changed) or u.changed = '{}' and c.key_position is null and has_column_privilege(c.relation, c.attnum, 'update'))
                                and a.attidentity <> 'a' as settable) s
     where c.relation = undo_probe.relation and c.problem is null and not c.generated;
    if columns is null then
        return '{}';
    end if;
    begin
        perform set_config('lock_timeout', '50ms', true), journal.undo_as_caller(true);
        execute format('with x as materialized (select x.*, x.ctid, x.tableoid from %1$s x limit 1 for no key update skip locked),
                             t as (update %1$s t set (%2$s) = row(%3$s) from x where t.ctid operator(pg_catalog.=) x.ctid and t.tableoid operator(pg_catalog.=) x.tableoid returning t.*)
                        select pg_catalog.array_remove(array[%4$s]::int2[], null) from x, t',
                       target, columns, themselves, tests)
           into maintained;
        raise exception using errcode = 'JR999';
    exception
        when sqlstate 'JR999' then
            perform journal.undo_as_caller(false);
            return coalesce(maintained, '{}');
        when others then  -- whatever the user's own triggers raise: then nothing is known, and nothing counts as maintained
            perform journal.undo_as_caller(false);
            return '{}';
    end;
end
$undo_probe$;

comment on function journal.undo_probe(oid) is 'Columns of a table that its own triggers maintain. Leaves no trace. Private.';

-- sql/journal/rollback/undo_patience.sql
-- How long a rollback may still wait for a lock in an attempt that began then: half of deadlock_timeout in all, and not past
-- the deadline.
create function journal.undo_patience(began timestamptz, deadline timestamptz) returns text
language sql volatile
begin atomic
    select pg_catalog.format('%sms', pg_catalog.ceil(greatest(1, 1000 * extract(epoch from least(
               began + pg_catalog.current_setting('deadlock_timeout')::interval / 2, deadline) - pg_catalog.clock_timestamp()))));
end;

comment on function journal.undo_patience(timestamptz, timestamptz) is 'Value of lock_timeout for one attempt of a rollback. Private.';

-- sql/journal/rollback/undo_busy.sql
-- Between two lock attempts: raises RollbackBusy when the time is up, with who is in the way.
create function journal.undo_busy(deadline timestamptz, relations oid[]) returns void
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $undo_busy$
declare
    blockers jsonb;
begin
    if clock_timestamp() < deadline then
        perform pg_sleep(0.01);
        return;
    end if;
    select coalesce(jsonb_agg(distinct jsonb_build_object('pid', l.pid, 'db_user', a.usename, 'application_name', a.application_name,
                                                          'transaction_started_at', a.xact_start, 'prepared', p.gid)), '[]')
      into blockers
      from pg_locks l
      left join pg_stat_activity a on a.pid = l.pid
      left join pg_locks x on l.pid is null and x.locktype = 'transactionid' and x.virtualtransaction = l.virtualtransaction and x.pid is null
      left join pg_prepared_xacts p on p.transaction = x.transactionid
     where l.locktype = 'relation' and l.relation = any (relations) and l.pid is distinct from pg_backend_pid()
       and l.mode not in ('AccessShareLock');
    raise exception using
        errcode = 'JR037', message = 'others hold what the rollback needs; nothing changed',
        hint = 'try again, or wait longer (--wait)', detail = jsonb_build_object('blockers', blockers);
end
$undo_busy$;

comment on function journal.undo_busy(timestamptz, oid[]) is 'Raises RollbackBusy once the deadline is over. Private.';

-- sql/journal/rollback/undo_lock_rows.sql
-- Locks some rows of one table in the order of their keys and says whether all are still as they were judged. Where others
-- hold some, it raises JR998: the detail lists statements that lock those, to be run first in the next attempt.
create function journal.undo_lock_rows(relation oid, strength text, which text) returns boolean
language plpgsql volatile
as $undo_lock_rows$
declare
    target    constant text := journal.undo_rows(relation);
    source    constant text := format('%s t join (select u.* from pg_temp.journal_undo_%s u where %s) u on %s', target, relation, which, journal.undo_key_match(relation, 'u.a%1$s'));
    locking   constant text := format('order by %s for %s of t skip locked', journal.undo_list(relation, 't.%2$s', ', ', 'key'), strength);
    unchanged boolean;
    missing   boolean;
    held      jsonb;
begin
    execute format($lock$
        with locked as materialized (select t.xmin as now_xmin, u.live_xmin from %1$s %2$s)
        select count(*) filter (where now_xmin = live_xmin) = wanted.n, count(locked.live_xmin) < wanted.n
          from (select count(*) as n from pg_temp.journal_undo_%3$s u where %4$s) wanted left join locked on true
         group by wanted.n$lock$, source, locking, relation, which)
       into unchanged, missing;
    if missing then
        execute format($held$
            with locked as materialized (select u.row_no from %1$s %2$s)
            select jsonb_agg(format(%3$L, %4$s)) from (select u.* from %1$s where u.row_no not in (select row_no from locked) limit 100) u$held$,
            source, locking,
            format('select t.xmin from %s t join (select %s) u on %s for %s of t', replace(target, '%', '%%'),
                   journal.undo_list(relation, '%%L::%3$s as a%1$s', ', ', 'key'), replace(journal.undo_key_match(relation, 'u.a%1$s'), '%', '%%'), strength),
            journal.undo_list(relation, 'u.a%1$s::text', ', ', 'key'))
           into held;
        if held is not null then
            raise exception using errcode = 'JR998', message = 'others hold rows that the rollback needs', detail = held;
        end if;
    end if;
    return unchanged;
end
$undo_lock_rows$;

comment on function journal.undo_lock_rows(oid, text, text) is 'Locks some rows of one table, or tells by JR998 which of them others hold. Private.';

-- sql/journal/rollback/undo_lock_first.sql
-- Locks, one by one, the rows that others held when a rollback tried before: while it holds nothing else. All its waiting
-- together takes less than half of deadlock_timeout, and afterwards the rollback does not wait any more. So nobody who waits
-- for it has waited long enough to look for a deadlock while it waits itself: it yields, and a live writer is never the victim.
create function journal.undo_lock_first(statements text[], deadline timestamptz) returns void
language plpgsql volatile
as $undo_lock_first$
declare
    started constant timestamptz := clock_timestamp();
    item    text;
begin
    foreach item in array statements loop
        perform set_config('lock_timeout', journal.undo_patience(started, deadline), true);
        execute item;
    end loop;
    perform set_config('lock_timeout', '1ms', true);
end
$undo_lock_first$;

comment on function journal.undo_lock_first(text[], timestamptz) is 'Waits for the rows that others held before, within one patience in all. Private.';

-- sql/journal/rollback/undo_lock.sql
-- Locks live rows, key by key, and makes sure that they are still as they were judged: false if not, and the plan must be
-- made again, with the locks kept. Only rows that will be removed or re-keyed need it (their children could change meanwhile);
-- others are guarded by the xmin they were judged with. With thorough, all are locked. It never waits: what others hold is
-- left to undo_lock_first.
create function journal.undo_lock(thorough boolean) returns boolean
language plpgsql volatile
as $undo_lock$
declare
    item record;
begin
    for item in select u.relation, u.removes, u.restored && journal.undo_key_attnums(u.relation) as moves
                  from pg_temp.journal_undo u where u.target is not null order by u.relation
    loop
        if thorough and not journal.undo_lock_rows(item.relation, 'no key update', format('u.status = ''restore'' and not u.restored && %L', journal.undo_key_attnums(item.relation)))
           or (item.removes or item.moves)
              and not journal.undo_lock_rows(item.relation, 'update', format('u.status = ''remove'' or u.status = ''restore'' and u.restored && %L', journal.undo_key_attnums(item.relation))) then
            return false;
        end if;
    end loop;
    return true;
end
$undo_lock$;

comment on function journal.undo_lock(boolean) is
    'Locks the live rows of a rollback; false where they changed since they were judged; JR998 where others hold them. Private.';

-- sql/journal/rollback/undo_check_columns.sql
-- What became of the columns since: a changed value whose column is gone or has another type cannot be put back exactly,
-- and a row cannot be inserted again where a new column needs a value that no image holds. Nor can what was
-- never recorded (excluded columns).
create function journal.undo_check_columns(relation oid) returns void
language plpgsql volatile
as $undo_check_columns$
#variable_conflict use_variable
declare
    work text := 'journal_undo_' || relation;
    item record;
begin
    for item in
        select c.attnum, c.problem, c.not_null and not c.has_default and not c.generated as needed
          from pg_temp.journal_undo_column c
         where c.relation = undo_check_columns.relation and c.problem is not null and (c.carried or c.problem = 'added')
    loop
        if item.problem = 'added' then
            if item.needed then
                execute format('update pg_temp.%I set status = ''refuse'', reason = ''constraint_added'', culprit = %s where status = ''reinsert''', work, item.attnum);
            end if;
            continue;
        end if;
        execute format('update pg_temp.%1$I set status = %2$L, reason = %3$L, culprit = %4$s
                         where status in (''restore'', ''reinsert'') and (%4$s = any (changed) or kind = ''D'' and b%4$s is not null)',
                       work, case item.problem when 'column_dropped' then 'refuse' else 'conflict' end, item.problem, item.attnum);
    end loop;
    execute format('update pg_temp.%I set status = ''conflict'', reason = ''coverage_gap'', culprit = excluded.attnum
                      from (select attnum from pg_temp.journal_undo_column where relation = %s and image_type is null and problem is null and not generated limit 1) excluded
                     where status = ''reinsert''', work, relation);
end
$undo_check_columns$;

comment on function journal.undo_check_columns(oid) is 'Turns rows away whose columns are no longer what they were. Private.';

-- sql/journal/rollback/undo_written_by.sql
-- The transaction that recorded a statement, by the ids of this database: after a restore elsewhere the one that loaded the ledger.
create function journal.undo_written_by(statement_id bigint) returns xid8
language sql stable security definer
set search_path = pg_catalog, pg_temp
begin atomic
    select journal.whole_xid(s.xmin) from journal.statement s where s.statement_id = undo_written_by.statement_id;
end;

comment on function journal.undo_written_by(bigint) is 'The transaction that recorded a statement. Private.';

-- sql/journal/rollback/undo_reordered_by.sql
-- The last transaction that dropped an attribute of a composite type, or of one that stands in it, however deep: the fields of a text that is older
-- are no longer those of the type.
create function journal.undo_reordered_by(column_type oid) returns xid8
language sql stable
begin atomic
    with recursive part as (
        select journal.base_type(column_type) as type
        union
        select journal.base_type(i.type)
          from part p
          join pg_catalog.pg_type t on t.oid = p.type
         cross join lateral (
               select t.typelem as type where t.typcategory = 'A'
               union all
               select a.atttypid from pg_catalog.pg_attribute a where t.typtype = 'c' and a.attrelid = t.typrelid and a.attnum > 0 and not a.attisdropped) i
    )
    select journal.whole_xid(a.xmin)
      from part p
      join pg_catalog.pg_type t on t.oid = p.type and t.typtype = 'c'
      join pg_catalog.pg_attribute a on a.attrelid = t.typrelid and a.attisdropped
     order by 1 desc
     limit 1;
end;

comment on function journal.undo_reordered_by(oid) is 'The last transaction that dropped an attribute of a composite type. Private.';

-- sql/journal/rollback/undo_check_texts.sql
-- Old values that are kept as text and may mean something else by now: a label of an enum that was renamed, or whose name another one took since, and
-- a composite type that lost an attribute. They are not written, whatever else there is to say of the row.
create function journal.undo_check_texts(relation oid) returns void
language plpgsql volatile
as $undo_check_texts$
#variable_conflict use_variable
declare
    work    constant text := 'journal_undo_' || relation;
    item    record;
    strange text;
    began   xid8;
begin
    for item in
        select c.attnum, t.typcategory = 'A' as many, e.oid as enum, case when e.oid is null then journal.undo_reordered_by(t.oid) end as reordered_by
          from pg_temp.journal_undo_column c
          join pg_attribute a on a.attrelid = c.relation and a.attnum = c.attnum
          join pg_type t on t.oid = journal.base_type(a.atttypid)
          left join pg_type e on e.oid = journal.base_type(case when t.typcategory = 'A' then t.typelem else t.oid end) and e.typtype = 'e'
         where c.relation = undo_check_texts.relation and c.carried and c.problem is null and c.image_type = 'text' and c.as_text
    loop
        if began is null then
            execute format('select journal.undo_written_by(min(first_statement)) from pg_temp.%I', work) into began;
        end if;
        if item.enum is not null then
            strange := format('exists (select from unnest(%s) x (label)
                                        where x.label is not null and not exists (
                                              select from label l where l.label = x.label and (l.written_by <= $1 or l.written_by <= journal.undo_written_by(u.first_statement))))',
                              case when item.many then '%1$s::text[]' else 'array[%1$s]' end);
        elsif item.reordered_by > began then
            strange := '%1$s is not null and $2 > journal.undo_written_by(u.first_statement)';
        else
            continue;
        end if;
        execute format('with label as materialized (select e.enumlabel::text as label, journal.whole_xid(e.xmin) as written_by from pg_enum e where e.enumtypid = %3$s)
                        update pg_temp.%1$I u set status = ''conflict'', reason = ''retyped'', culprit = %2$s
                         where (kind = ''D'' and status = ''reinsert''
                                or kind = ''U'' and %2$s = any (restored) and (status in (''restore'', ''noop'') or status = ''conflict'' and reason = ''changed_since'')) and %4$s
                            or status = ''conflict'' and reason = ''changed_since'' and culprit = %2$s and %5$s',
                       work, item.attnum, coalesce(item.enum, 0), format(strange, 'u.b' || item.attnum), format(strange, 'u.a' || item.attnum))
          using began, item.reordered_by;
    end loop;
end
$undo_check_texts$;

comment on function journal.undo_check_texts(oid) is 'Turns rows away whose old values may mean something else by now. Private.';

-- sql/journal/rollback/undo_own_xmins.sql
-- The xmins of the ledger rows of what sessions did to a table: those of the rows that they wrote there.
create function journal.undo_own_xmins(relation oid, session_ids uuid[], step_ids uuid[]) returns xid[]
language sql stable security definer
set search_path = pg_catalog, pg_temp
begin atomic
    select array(select distinct s.ledger_xmin
                   from journal.undo_statements(session_ids, step_ids) s
                  where s.relation = undo_own_xmins.relation);
end;

comment on function journal.undo_own_xmins(oid, uuid[], uuid[]) is 'The xmins of rows that sessions wrote. Private.';

-- sql/journal/rollback/undo_rewritten_by.sql
-- The xmins that a change of a table's definition gave to its rows, if it rewrote them: those of what the catalog holds of it. Where that
-- may have cut or rounded what the session changed, the rows are not known to be as it left them.
create function journal.undo_rewritten_by(relation oid, changed int2[]) returns xid[]
language sql stable
begin atomic
    select pg_catalog.array_agg(w.xmin)
      from journal.relations_of(relation) r
     cross join lateral (
           select c.xmin from pg_catalog.pg_class c where c.oid = r.member
           union select a.xmin from pg_catalog.pg_attribute a where a.attrelid = r.member
           union select d.xmin from pg_catalog.pg_attrdef d where d.adrelid = r.member
           except select a.xmin from pg_catalog.pg_attribute a where a.attrelid = undo_rewritten_by.relation and a.atttypmod <> -1 and a.attnum = any (changed)) w;
end;

comment on function journal.undo_rewritten_by(oid, int2[]) is 'The xmins that rows of a table have because its definition was changed. Private.';

-- sql/journal/rollback/undo_trace_others.sql
-- Rows that match by value, but were written again after the session: the journal says what others did. They may have
-- changed other columns; a change of ours that they changed and changed back is a conflict, and so is a write that no
-- ledger row accounts for; those of its rollbacks do, and the session's own where others gave the row another key before it came again. A row that they deleted and inserted again is theirs; where the session has inserted one since, it is gone. After a restore or a rewrite xmin says nothing, and the journal alone decides.
create function journal.undo_trace_others(relation oid) returns void
language plpgsql volatile
as $undo_trace_others$
#variable_conflict use_variable
declare
    work     text := 'journal_undo_' || relation;
    row_key  text := 'pg_catalog.format(''%s'', row(' || journal.undo_list(relation, 'coalesce(u.a%1$s, u.b%1$s)', ', ', 'key') || '))';
    keys     text[];
    since    bigint;
begin
    execute format('select array_agg(%s), min(last_statement) from pg_temp.%I u
                     where live and not traced and status in (''restore'', ''remove'', ''conflict'')', row_key, work)
       into keys, since;
    if keys is null then
        return;
    end if;
    execute format($trace$
        with other as materialized (
            select o.* from pg_temp.journal_undo_args a, journal.undo_others(%1$s, a.session_ids, a.step_ids, $1, $2) o
        ), met as (
            select u.row_no, t.xmin as live_xmin, o.*, m.meddled, not o.family and (u.kind = 'I' or o.whole or m.meddled is not null) as meddles,
                   o.whole and exists (select from pg_temp.%2$I y where y.kind = 'I' and y.live and y.row_no <> u.row_no and %7$s) as gone
              from pg_temp.%2$I u
              join %3$s t on %4$s
              left join other o on o.row_key = %5$s and o.statement_id > u.last_statement
             cross join lateral (select array_agg(c order by c) as meddled from unnest(o.changed) c where c = any (u.changed) and c <> all ($3 || %6$s)) m
             where u.live and not u.traced and u.status in ('restore', 'remove', 'conflict')
        ), seen as (
            select o.row_no, max(o.statement_id) filter (where o.meddles) as meddler, max(o.statement_id) filter (where not o.family) as latest,
                   coalesce(bool_or(o.live_xmin = any (o.ledger_xmins)), false) or bool_or(o.live_xmin = any ($5)) as accounted, coalesce(bool_or(o.whole and not o.family), false) as replaced,
                   coalesce(bool_or(o.gone and not o.family), false) as gone
              from met o
             group by o.row_no
        ), touched as (
            select m.row_no, array_agg(distinct c order by c) as meddled
              from met m, unnest(m.meddled) c
             where m.meddles
             group by m.row_no
        )
        update pg_temp.%2$I u
           set their_statement = coalesce(s.meddler, s.latest), traced = true,
               status = case when u.status = 'conflict' or s.meddler is not null or not s.accounted and $4 and u.same_cluster and not u.restored <@ ($3 || %6$s) then 'conflict' else u.status end,
               live = not s.gone, reason = case when s.gone then 'deleted_since' when s.replaced then 'key_reused'
                             when u.status = 'conflict' then case when u.reason = 'changed_since' and s.latest is null and not s.accounted then 'unjournaled_writer' else u.reason end
                             when s.meddler is not null then 'changed_and_back'
                             when not s.accounted and $4 and u.same_cluster and not u.restored <@ ($3 || %6$s) then 'unjournaled_writer' end,
               culprit = case when not s.gone then coalesce(u.culprit, c.meddled[1], u.changed[1]) end, meddled = case when not s.gone then coalesce(c.meddled, '{}') end
          from seen s
          left join touched c using (row_no)
         where s.row_no = u.row_no$trace$,
        relation, work, journal.undo_rows(relation),
        journal.undo_key_match(relation, 'coalesce(u.a%1$s, u.b%1$s)'), row_key, journal.undo_adjusted(relation),
        journal.undo_list(relation, 'y.a%1$s = u.a%1$s', ' and ', 'key'))
    using since, keys,
          journal.undo_maintained(relation),
          (select bool_and(c.problem is null) from pg_temp.journal_undo_column c where c.relation = undo_trace_others.relation),
          (select journal.undo_own_xmins(relation, a.session_ids, a.step_ids) from pg_temp.journal_undo_args a)
          || journal.undo_rewritten_by(relation, (select u.changed from pg_temp.journal_undo u where u.relation = undo_trace_others.relation));
end
$undo_trace_others$;

comment on function journal.undo_trace_others(oid) is 'Judges rows that somebody wrote after the session. Private.';

-- sql/journal/rollback/undo_is_part.sql
-- Whether steps are to be rolled back and not all of their session, or sessions within another one and not all of that.
create function journal.undo_is_part(session_ids uuid[], step_ids uuid[]) returns boolean
language sql stable security definer
set search_path = pg_catalog, pg_temp
begin atomic
    select step_ids is not null
           or exists (select from journal.session s where s.session_id = any (session_ids) and s.parent_session_id <> all (session_ids));
end;

comment on function journal.undo_is_part(uuid[], uuid[]) is 'Whether only a part of a session, or of a tree of sessions, is rolled back. Private.';

-- sql/journal/rollback/undo_bound.sql
-- The sessions and steps that statements were made in; statements of nobody are left out.
create function journal.undo_bound(statement_ids bigint[]) returns table (statement_id bigint, transaction_id xid8, depth smallint, session_id uuid, step_id uuid)
language sql stable security definer
set search_path = pg_catalog, pg_temp
begin atomic
    select l.statement_id, l.transaction_id, l.depth, b.session_id, b.step_id
      from journal.statement l
     cross join lateral (
           select b.session_id, b.step_id from journal.binding b
            where b.transaction_id = l.transaction_id and b.cluster = l.cluster and b.statement_id < l.statement_id
            order by b.statement_id desc limit 1) b
     where l.statement_id = any (undo_bound.statement_ids);
end;

comment on function journal.undo_bound(bigint[]) is 'The sessions and steps of statements. Private.';

-- sql/journal/rollback/undo_of_one_tree.sql
-- Which of some statements were made by sessions of the same trees: the given ones, what they are within, and all that is within that.
create function journal.undo_of_one_tree(session_ids uuid[], statement_ids bigint[]) returns setof bigint
language sql stable security definer
set search_path = pg_catalog, pg_temp
begin atomic
    with recursive written as (
        select b.statement_id, b.session_id from journal.undo_bound(undo_of_one_tree.statement_ids) b
    ), up as (
        select s.session_id as member, s.session_id, s.parent_session_id
          from journal.session s
         where s.session_id = any (undo_of_one_tree.session_ids) or s.session_id in (select w.session_id from written w)
        union
        select u.member, p.session_id, p.parent_session_id from up u join journal.session p on p.session_id = u.parent_session_id
    ), root as (
        select u.member, u.session_id from up u where u.parent_session_id is null
    )
    select w.statement_id
      from written w
      join root r on r.member = w.session_id
     where r.session_id in (select o.session_id from root o where o.member = any (undo_of_one_tree.session_ids));
end;

comment on function journal.undo_of_one_tree(uuid[], bigint[]) is 'Which statements belong to the same trees of sessions. Private.';

-- sql/journal/rollback/undo_trace_siblings.sql
-- Rows that some steps of a session changed and that are as they were before, because other steps of it, or sessions that it is within or that are within it,
-- changed them back: these are not asked for. Nothing would have to be done; but whoever takes them back later, one by one or all of the session, would bring back what the first
-- had made of the row. So it is a conflict, and what is left takes part in the next rollback.
create function journal.undo_trace_siblings(relation oid) returns void
language plpgsql volatile
as $undo_trace_siblings$
#variable_conflict use_variable
declare
    work    constant text := 'journal_undo_' || relation;
    row_key constant text := 'pg_catalog.format(''%s'', row(' || journal.undo_list(relation, 'coalesce(u.a%1$s, u.b%1$s)', ', ', 'key') || '))';
    settled constant text := 'u.status = ''noop'' and (u.kind in (''I'', ''D'') or u.kind = ''U'' and u.restored <> ''{}'')';
    keys    text[];
    since   bigint;
begin
    execute format('select array_agg(%s), min(u.last_statement) from pg_temp.%I u where %s', row_key, work, settled) into keys, since;
    if keys is null then
        return;
    end if;
    execute format($siblings$
        with other as materialized (
            select o.* from pg_temp.journal_undo_args a, journal.undo_others(%1$s, a.session_ids, a.step_ids, $1, $2) o where not o.family
        ), sibling as materialized (
            select s as statement_id
              from pg_temp.journal_undo_args a
             cross join lateral journal.undo_of_one_tree(a.session_ids, array(select distinct o.statement_id from other o)) s
        )
        update pg_temp.%2$I u
           set status = 'conflict', reason = case u.kind when 'U' then 'changed_and_back' when 'I' then 'deleted_since' else 'key_reused' end,
               culprit = case when u.kind = 'U' then u.restored[1] end, their_statement = m.statement_id
          from (select u.row_no, max(o.statement_id) as statement_id
                  from pg_temp.%2$I u
                  join other o on o.row_key = %3$s and o.statement_id > u.last_statement
                  join sibling s using (statement_id)
                 where %4$s and (u.kind <> 'U' or o.whole or o.moved_to is not null or o.changed && u.restored)
                 group by u.row_no) m
         where m.row_no = u.row_no$siblings$, relation, work, row_key, settled)
    using since, keys;
end
$undo_trace_siblings$;

comment on function journal.undo_trace_siblings(oid) is 'Finds rows that the rest of a session changed back. Private.';

-- sql/journal/rollback/undo_trace_moved.sql
-- Rows that a session inserted and that are not where it left them: deleted since, then nothing is to be done, or given another
-- key by somebody else, then they are still there and are somebody's later work.
create function journal.undo_trace_moved(relation oid) returns void
language plpgsql volatile
as $undo_trace_moved$
#variable_conflict use_variable
declare
    work    constant text := 'journal_undo_' || relation;
    row_key constant text := 'pg_catalog.format(''%s'', row(' || journal.undo_list(relation, 'u.a%1$s', ', ', 'key') || '))';
    keys    text[];
    since   bigint;
begin
    execute format('select array_agg(%s), min(last_statement) from pg_temp.%I u where u.kind = ''I'' and not u.live and u.status = ''noop''', row_key, work)
       into keys, since;
    execute format('update pg_temp.%1$I u set status = ''conflict'', reason = ''changed_since'', culprit = %2$s, their_statement = o.statement_id
                      from (select o.row_key, max(o.statement_id) as statement_id
                              from pg_temp.journal_undo_args a, journal.undo_others(%3$s, a.session_ids, a.step_ids, $1, $2) o
                             where not o.family and not o.whole and o.changed && %4$L group by o.row_key) o
                     where u.kind = ''I'' and not u.live and u.status = ''noop'' and %5$s = o.row_key and o.statement_id > u.last_statement',
                   work, (journal.undo_key_attnums(relation))[1], relation, journal.undo_key_attnums(relation), row_key)
    using since, keys;
end
$undo_trace_moved$;

comment on function journal.undo_trace_moved(oid) is 'Finds inserted rows to which others gave another key. Private.';

-- sql/journal/rollback/undo_trace_rekeyed.sql
-- Rows that a session updated and that are not where it left them, because others gave them another key: they are followed to
-- it, through further keys too, and judged there. Where others changed what the session changed before they moved the row, or
-- the session had changed the key itself, it is a conflict; not where a rollback of the session's put the key back. Returns whether any row was found.
create function journal.undo_trace_rekeyed(relation oid) returns boolean
language plpgsql volatile
as $undo_trace_rekeyed$
#variable_conflict use_variable
declare
    work     constant text := 'journal_undo_' || relation;
    attnums  constant int2[] := journal.undo_key_attnums(relation);
    row_key  constant text := 'pg_catalog.format(''%s'', row(' || journal.undo_list(relation, 'u.a%1$s', ', ', 'key') || '))';
    missing  constant text := 'u.kind = ''U'' and not u.live and u.reason = ''deleted_since''';
    followed constant text := 'u.kind = ''U'' and not u.live and u.reason in (''deleted_since'', ''changed_and_back'')';
    found_any boolean := false;
    keys    text[];
    since   bigint;
    moved   bigint;
begin
    for round in 1 .. 100 loop  -- until they are moved no further
        execute format('select array_agg(%s), min(coalesce(their_statement, last_statement)) from pg_temp.%I u where %s', row_key, work, followed) into keys, since;
        exit when keys is null;
        execute format($move$
            with other as materialized (
                select o.* from pg_temp.journal_undo_args a, journal.undo_others(%1$s, a.session_ids, a.step_ids, $1, $2) o
            ), move as (
                select distinct on (u.row_no) u.row_no, u.restored, u.changed, %8$s as adjusted, coalesce(u.their_statement, u.last_statement) as since, m.row_key, m.statement_id, m.moved_to, m.family
                  from pg_temp.%3$I u
                  join other m on m.row_key = %4$s and m.moved_to is not null and m.statement_id > coalesce(u.their_statement, u.last_statement)
                 where %5$s
                 order by u.row_no, m.statement_id
            ), meddled as (
                select m.row_no, min(c.attnum) as attnum
                  from move m
                  join other o on not o.family and o.row_key = m.row_key and o.statement_id > m.since and o.statement_id < m.statement_id
                 cross join lateral unnest(case when o.whole then m.changed else o.changed end) as c (attnum)
                 where c.attnum = any (m.restored) and c.attnum <> all (m.adjusted)
                 group by m.row_no
            ), step as (
                select m.row_no, m.statement_id, m.moved_to, m.restored && %2$L and not m.family as keyed, w.attnum as meddled
                  from move m left join meddled w using (row_no)
            )
            update pg_temp.%3$I u
               set their_statement = s.statement_id, reason = case when s.keyed then 'changed_since' when s.meddled is not null then 'changed_and_back' else u.reason end,
                   culprit = case when s.keyed then %6$s else coalesce(s.meddled, u.culprit) end, theirs = case when s.keyed then array_to_string(s.moved_to, ', ') end, image_key = coalesce(u.image_key, %9$s), %7$s
              from step s
             where s.row_no = u.row_no$move$,
            relation, attnums, work, row_key, followed, attnums[1],
            (select string_agg(format('a%1$s = case when s.keyed then u.a%1$s else s.moved_to[%2$s]::%3$s end, b%1$s = case when u.restored && %4$L then u.b%1$s else s.moved_to[%2$s]::%3$s end', c.attnum, c.key_position, c.image_type, attnums), ', ')
               from pg_temp.journal_undo_column c where c.relation = undo_trace_rekeyed.relation and c.key_position is not null),
            journal.undo_adjusted(relation), journal.undo_image_key(relation))
        using since, keys;
        get diagnostics moved = row_count;
        exit when moved = 0;
        found_any := true;
    end loop;
    if found_any then
        execute format('update pg_temp.%1$I u
                           set live = true, live_xmin = t.xmin, traced = false, last_statement = their_statement - 1, their_statement = null, culprit = %2$s,
                               status = case when %2$s is null then ''restore'' else ''conflict'' end, reason = case when %2$s is not null then ''changed_since'' end
                          from %3$s t
                         where %4$s and u.their_statement is not null and %5$s',
                       work, journal.undo_differing(relation, 'u.a%s', '%s = any (u.changed)'), journal.undo_rows(relation), missing, journal.undo_key_match(relation, 'u.a%1$s'));
        -- where the session came again, not knowing it by another key, it is one row twice: restored whole or left whole, and what is between is not known
        execute format('update pg_temp.%1$I d set status = ''conflict'', reason = ''changed_since'', culprit = coalesce(d.culprit, d.restored[1]),
                               their_statement = coalesce(d.their_statement, case when d.image_key is not null then d.last_statement else u.last_statement end + 1)
                          from pg_temp.%1$I u
                         where u.row_no <> d.row_no and coalesce(u.image_key, d.image_key) is not null and d.kind = ''U'' and d.status = ''restore''
                           and u.kind = ''U'' and (u.live or u.reason = ''changed_and_back'') and u.status in (''restore'', ''conflict'') and %2$s',
                       work, journal.undo_list(relation, 'd.a%1$s = u.a%1$s', ' and ', 'key'));
        -- a row that the session deleted there is the same one: it is left whole too
        execute format('update pg_temp.%1$I d set status = ''conflict'', reason = ''changed_since'', their_statement = u.their_statement
                          from pg_temp.%1$I u
                         where d.kind = ''D'' and d.status = ''reinsert'' and u.their_statement is not null and %2$s and %3$s',
                       work, followed, journal.undo_list(relation, 'd.b%1$s = u.a%1$s', ' and ', 'key'));
        -- and what the session did to a row where others had put it, after it had changed the key itself
        execute format('update pg_temp.%1$I d set status = ''conflict'', reason = ''changed_since'', their_statement = u.their_statement, live = false
                          from pg_temp.%1$I u
                         where d.kind in (''U'', ''D'') and d.status in (''restore'', ''reinsert'') and d.first_statement > u.their_statement
                           and u.kind = ''U'' and not u.live and u.reason = ''changed_since'' and u.theirs = concat_ws('', '', %2$s)',
                       work, journal.undo_list(relation, 'd.b%1$s', ', ', 'key'));
    end if;
    return found_any;
end
$undo_trace_rekeyed$;

comment on function journal.undo_trace_rekeyed(oid) is 'Follows rows to which others gave another key. Private.';

-- sql/journal/rollback/undo_trace_deleted.sql
-- Rows that a session deleted and that are to come back: where others have deleted a row of that key since, after somebody
-- had brought it back, it was decided anew that there is none.
create function journal.undo_trace_deleted(relation oid) returns void
language plpgsql volatile
as $undo_trace_deleted$
#variable_conflict use_variable
declare
    work    constant text := 'journal_undo_' || relation;
    row_key constant text := 'pg_catalog.format(''%s'', row(' || journal.undo_list(relation, 'u.b%1$s', ', ', 'key') || '))';
    keys    text[];
    since   bigint;
begin
    execute format('select min(last_statement) from pg_temp.%I u where u.kind = ''D'' and u.status = ''reinsert''', work) into since;
    if since is null or not (select journal.undo_deleted_since(relation, a.session_ids, a.step_ids, since) from pg_temp.journal_undo_args a) then
        return;
    end if;
    execute format('select array_agg(%s) from pg_temp.%I u where u.kind = ''D'' and u.status = ''reinsert''', row_key, work) into keys;
    execute format('update pg_temp.%1$I u set status = ''conflict'', reason = ''deleted_since'', their_statement = o.statement_id
                      from (select o.row_key, max(o.statement_id) as statement_id
                              from pg_temp.journal_undo_args a, journal.undo_others(%2$s, a.session_ids, a.step_ids, $1, $2, deleting => true) o
                             where not o.family group by o.row_key) o
                     where u.kind = ''D'' and u.status = ''reinsert'' and %3$s = o.row_key and o.statement_id > u.last_statement',
                   work, relation, row_key)
    using since, keys;
end
$undo_trace_deleted$;

comment on function journal.undo_trace_deleted(oid) is 'Finds deleted rows that others brought back and deleted again. Private.';

-- sql/journal/rollback/undo_trace_displaced.sql
-- Rows that a session wrote and to which others gave another key, where yet another row stands at the old one: that is not the
-- session's, whatever it holds. The session's counts as missing there, and is looked for where they put it. A rollback is such
-- another one, too, if it put a key back that the row had when the session wrote it.
create function journal.undo_trace_displaced(relation oid) returns void
language plpgsql volatile
as $undo_trace_displaced$
#variable_conflict use_variable
declare
    work    constant text := 'journal_undo_' || relation;
    row_key constant text := 'pg_catalog.format(''%s'', row(' || journal.undo_list(relation, 'u.a%1$s', ', ', 'key') || '))';
    written constant text := 'u.kind in (''U'', ''I'') and u.live and not u.traced and u.status in (''restore'', ''remove'', ''conflict'')';
    keys    text[];
    since   bigint;
begin
    execute format('select array_agg(%s), min(u.last_statement) from pg_temp.%I u where %s', row_key, work, written) into keys, since;
    if keys is null then
        return;
    end if;
    execute format('update pg_temp.%1$I u
                       set live = false, live_xmin = null, culprit = null, status = case when u.kind = ''U'' or u.broken is not null then ''conflict'' else ''noop'' end,
                           reason = case when u.broken is not null then u.reason when u.kind = ''U'' then ''deleted_since'' end
                      from (select o.row_key, max(o.statement_id) as statement_id, max(o.statement_id) filter (where not o.family) as by_others
                              from pg_temp.journal_undo_args a, journal.undo_others(%2$s, a.session_ids, a.step_ids, $1, $2, moving => true) o
                             where o.moved_to is not null group by o.row_key) o
                     where %3$s and %4$s = o.row_key and case when u.kind = ''U'' then o.statement_id else o.by_others end > u.last_statement',
                   work, relation, written, row_key)
    using since, keys;
end
$undo_trace_displaced$;

comment on function journal.undo_trace_displaced(oid) is 'Finds rows in whose place, after others moved them, another row stands. Private.';

-- sql/journal/rollback/undo_is_older.sql
-- Whether all transactions of sessions began to write before a transaction of a cluster did; false where that cannot be told.
create function journal.undo_is_older(session_ids uuid[], transaction_id xid8, cluster bigint) returns boolean
language sql stable
begin atomic
    select coalesce(undo_is_older.transaction_id > all (
        select case when b.cluster = undo_is_older.cluster then b.transaction_id end
          from journal.binding b
         where b.session_id = any (session_ids)), false);
end;

comment on function journal.undo_is_older(uuid[], xid8, bigint) is 'Whether the transactions of sessions are older than another. Private.';

-- sql/journal/rollback/undo_gap_since.sql
-- Since when changes of a table may be missing now: since it was covered last, if its triggers are not as they were then; since
-- it was uncovered; null if never. A partition that was attached after the sessions' last transaction matters nothing to them.
create function journal.undo_gap_since(relation oid, session_ids uuid[]) returns timestamptz
language plpgsql stable security definer
set search_path = pg_catalog, pg_temp
as $undo_gap_since$
declare
    covered journal.covered_table;
begin
    select * into covered from journal.covered_table c where c.relation = undo_gap_since.relation;
    if covered.relation is null then
        return (select max(s.until_at) from journal.segment s where s.relation = undo_gap_since.relation);
    elsif exists (select from journal.unwatched(covered) u where not journal.undo_is_older(session_ids, u.attached_by, journal.cluster_id())) then
        return covered.covered_at;
    end if;
    return null;
end
$undo_gap_since$;

comment on function journal.undo_gap_since(oid, uuid[]) is 'Since when changes of a table may be missing. Private.';

-- sql/journal/rollback/undo_gaps.sql
-- Where the journal may not know all that sessions did around a table: its own coverage was interrupted while they could
-- write, or a foreign key took the effects of their deletes (or key changes) on to a table that was not covered then.
-- Children that follow a changed key by ON UPDATE CASCADE follow it back, covered or not.
create function journal.undo_gaps(relation oid, session_ids uuid[], step_ids uuid[])
returns table (what text, constraint_name text, by_delete boolean, attnums int2[])
language plpgsql stable security definer
set search_path = pg_catalog, pg_temp
as $undo_gaps$
#variable_conflict use_variable
declare
    wrote_from  timestamptz;
    wrote_until timestamptz;
begin
    select min(v.opened_at), max(coalesce(v.closed_at, 'infinity')) into wrote_from, wrote_until from journal.sessions v where v.session_id = any (session_ids);
    if journal.undo_gap_since(relation, session_ids) < wrote_until
       or exists (select from journal.gap g where g.relation = undo_gaps.relation and g.from_at < wrote_until and g.until_at > wrote_from
                    and not journal.undo_is_older(session_ids, g.attached_by, g.cluster)) then
        return query select format('%s was not covered all the time', journal.qualified_name(relation)), null::text, false, null::int2[];
    end if;
    if not exists (select from pg_constraint f where f.contype = 'f' and f.confrelid in (select relation union select p.relid from pg_partition_tree(relation) p)) then
        return;
    end if;
    return query
    with deleting as (
        select max(s.executed_at) filter (where s.operation in ('D', 'T')) as deleted_at, min(s.executed_at) filter (where s.operation in ('D', 'T')) as since,
               bool_or(s.operation = 'T') as truncated, min(s.executed_at) as written_at
          from journal.undo_statements(session_ids, step_ids) x join journal.statement s using (statement_id) where x.relation = undo_gaps.relation
    )
    select format('%s is not covered', journal.qualified_name(f.child)), f.name::text, a.by_delete, f.parent_attnums
      from journal.undo_foreign_keys(relation) f
     cross join deleting d
     cross join lateral (values (true, d.since, d.since is not null and (f.on_delete in ('c', 'n', 'd') or d.truncated)),
                                (false, d.written_at, f.on_update in ('n', 'd'))) as a (by_delete, since, matters)
     where f.parent = undo_gaps.relation and a.matters
       and not exists (select from journal.covered_table c
                        where c.relation = f.child and journal.coverage_state(c.relation) ->> 'status' <> 'gap'
                          and (select min(s.from_at) from journal.segment s where s.relation = f.child) <= a.since);
end
$undo_gaps$;

comment on function journal.undo_gaps(oid, uuid[], uuid[]) is 'What the journal may not know about the work of sessions on a table. Private.';

-- sql/journal/rollback/undo_check_coverage.sql
-- Refuses what may be more than the journal knows: all that a session did to a table whose coverage has a gap, and the rows
-- whose going reached a table that nobody journaled.
create function journal.undo_check_coverage(relation oid, session_ids uuid[], step_ids uuid[]) returns void
language plpgsql volatile
as $undo_check_coverage$
#variable_conflict use_variable
declare
    gap record;
begin
    for gap in select * from journal.undo_gaps(relation, session_ids, step_ids) loop
        execute format('update pg_temp.journal_undo_%s u set status = ''refuse'', reason = ''coverage_gap'', culprit = null, constraint_name = $1, theirs = $2
                         where case when $3 is null then true when $4 then u.kind = ''D'' or u.images > 1 else u.changed && $3 end', relation)
          using gap.constraint_name, gap.what, gap.attnums, gap.by_delete;
    end loop;
    if found then
        perform journal.undo_group(relation);
    end if;
end
$undo_check_coverage$;

comment on function journal.undo_check_coverage(oid, uuid[], uuid[]) is 'Refuses rows around which the journal has a gap. Private.';

-- sql/journal/rollback/undo_check_privileges.sql
-- A rollback writes as its caller and escalates nothing: what the caller may not write is refused before anything is
-- touched, per status and column.
create function journal.undo_check_privileges(relation oid) returns void
language plpgsql volatile
as $undo_check_privileges$
#variable_conflict use_variable
declare
    forbidden int2[];
    plan      record;
    refused   boolean := false;
begin
    select * into plan from pg_temp.journal_undo u where u.relation = undo_check_privileges.relation;
    forbidden := array(select c from unnest(plan.restored) c where not has_column_privilege(relation, c, 'update'));
    if forbidden <> '{}' then
        execute format('update pg_temp.journal_undo_%s u set status = ''refuse'', reason = ''no_privilege'', culprit = (select c from unnest(u.restored) c where c = any ($1) limit 1)
                         where u.status = ''restore'' and u.restored && $1', relation) using forbidden;
        refused := true;
    end if;
    if plan.removes and not has_table_privilege(relation, 'delete') then
        execute format('update pg_temp.journal_undo_%s u set status = ''refuse'', reason = ''no_privilege'' where u.status = ''remove''', relation);
        refused := true;
    end if;
    if plan.reinserts and exists (select from pg_temp.journal_undo_column c where c.relation = undo_check_privileges.relation and c.carried and c.problem is null
                                     and not has_column_privilege(relation, c.attnum, 'insert')) then
        execute format('update pg_temp.journal_undo_%s u set status = ''refuse'', reason = ''no_privilege'' where u.status = ''reinsert''', relation);
        refused := true;
    end if;
    if refused then
        perform journal.undo_group(relation);
    end if;
end
$undo_check_privileges$;

comment on function journal.undo_check_privileges(oid) is 'Turns rows away that the caller may not write. Private.';

-- sql/journal/rollback/operator_name.sql
-- An operator, qualified, as it stands between two operands.
create function journal.operator_name(operator oid) returns text
language sql stable
begin atomic
    select pg_catalog.format('operator(%I.%s)', n.nspname, o.oprname)
      from pg_catalog.pg_operator o join pg_catalog.pg_namespace n on n.oid = o.oprnamespace
     where o.oid = operator_name.operator;
end;

comment on function journal.operator_name(oid) is 'operator(schema.name) for use in generated SQL.';

-- sql/journal/rollback/key_text.sql
-- SQL text that prints the primary key of a live row, for people: (order_id=42, line=7). A table without one says ctid.
create function journal.key_text(relation oid, alias text) returns text
language sql stable
begin atomic
    select coalesce('pg_catalog.concat(''('', ' || pg_catalog.string_agg(
                        pg_catalog.format('%L, %s.%I', case when k.n = 1 then '' else ', ' end || a.attname || '=', key_text.alias, a.attname), ', ' order by k.n)
                    || ', '')'')', pg_catalog.format('%s.ctid::text', key_text.alias))
      from pg_catalog.pg_index i
     cross join lateral pg_catalog.unnest(i.indkey::int2[]) with ordinality as k (attnum, n)
      join pg_catalog.pg_attribute a on a.attrelid = i.indrelid and a.attnum = k.attnum
     where i.indrelid = key_text.relation and i.indisprimary;
end;

comment on function journal.key_text(oid, text) is 'SQL text that prints the primary key of a row. Private.';

-- sql/journal/rollback/unique_columns.sql
-- Unique and exclusion constraints over plain columns, keys without overlaps among the latter, with the operator that says "the same" for each column, and whether
-- an empty range is in nobody's way: it may not stand in a key without overlaps.
create function journal.unique_columns(relation oid)
returns table (name name, exclusion boolean, attnums int2[], operators oid[], primary_key boolean, immediate boolean, nulls_distinct boolean, empties boolean)
language sql stable
begin atomic
    select c.relname, i.indisexclusion, pg_catalog.array_agg(k.attnum order by k.n),
           case when i.indisexclusion then (select x.conexclop from pg_catalog.pg_constraint x where x.conindid = i.indexrelid and x.conexclop is not null)
                else pg_catalog.array_agg(a.amopopr order by k.n) end,
           i.indisprimary, i.indimmediate, not i.indnullsnotdistinct,
           i.indisexclusion and not i.indisunique
      from pg_catalog.pg_index i
      join pg_catalog.pg_class c on c.oid = i.indexrelid
     cross join lateral rows from (pg_catalog.unnest(i.indkey::int2[]), pg_catalog.unnest(i.indclass::oid[])) with ordinality as k (attnum, opclass, n)
      left join pg_catalog.pg_opclass o on o.oid = k.opclass
      left join pg_catalog.pg_amop a on a.amopfamily = o.opcfamily and a.amoplefttype = o.opcintype and a.amoprighttype = o.opcintype
                                    and a.amopstrategy = 3 and not i.indisexclusion
     where i.indrelid = unique_columns.relation and (i.indisunique or i.indisexclusion) and i.indisvalid
       and i.indexprs is null and i.indpred is null and k.n <= i.indnkeyatts
     group by c.relname, i.indexrelid, i.indisexclusion, i.indisunique, i.indisprimary, i.indimmediate, i.indnullsnotdistinct;
end;

comment on function journal.unique_columns(oid) is 'Unique and exclusion constraints over plain columns. Private.';

-- sql/journal/rollback/undo_generated_from.sql
-- The generated columns of a table, each with the columns that it is generated from.
create function journal.undo_generated_from(relation oid) returns table (generated int2, attnum int2)
language sql stable
begin atomic
    select a.attnum, d.refobjsubid::int2
      from pg_catalog.pg_attribute a
      join pg_catalog.pg_attrdef f on f.adrelid = a.attrelid and f.adnum = a.attnum
      join pg_catalog.pg_depend d on d.classid = 'pg_catalog.pg_attrdef'::regclass and d.objid = f.oid
                                 and d.refclassid = 'pg_catalog.pg_class'::regclass and d.refobjid = a.attrelid and d.refobjsubid not in (0, a.attnum)
     where a.attrelid = undo_generated_from.relation and a.attgenerated <> '' and not a.attisdropped;
end;

comment on function journal.undo_generated_from(oid) is 'From which columns each generated column comes. Private.';

-- sql/journal/rollback/unique_expressions.sql
-- Unique and exclusion constraints that are partial or have expressions, or generated columns, or with every all of them. One that only a part of the
-- table has is partial too. Besides: whether it is over plain columns, whether an empty range is surely in nobody's way, the columns that it depends on (those from which others are generated), the
-- predicate, what a row has in the index (places: journal_1, journal_2, …), when a row has the same there as row w, and whether that is what = says (usual; never of an
-- exclusion constraint); as a pattern, when a row of such places has the same as another (meeting), and the index for that (indexed).
create function journal.unique_expressions(relation oid, every boolean default false)
returns table (name name, plain boolean, immediate boolean, exclusion boolean, primary_key boolean, nulls_distinct boolean, empties boolean, usual boolean, attnums int2[], predicate text, computed text, places text, same text, meeting text, indexed text)
language sql stable
begin atomic
    select c.relname, f.plain, i.indimmediate, i.indisexclusion, i.indisprimary and i.indrelid = unique_expressions.relation, not i.indnullsnotdistinct,
           i.indisexclusion and not i.indisunique, pg_catalog.bool_and(o.opcdefault) and not i.indisexclusion,
           array(select distinct coalesce(b.attnum, r.attnum)
                   from (select d.refobjsubid::int2 from pg_catalog.pg_depend d
                          where not f.plain and d.classid = 'pg_catalog.pg_class'::regclass and d.objid = i.indexrelid
                            and d.refclassid = 'pg_catalog.pg_class'::regclass and d.refobjid = i.indrelid and d.refobjsubid > 0
                         union select k.attnum from pg_catalog.unnest(i.indkey::int2[]) with ordinality as k (attnum, n) where k.attnum > 0 and (not f.plain or k.n <= i.indnkeyatts)) p (attnum)
                   join pg_catalog.pg_attribute a on a.attrelid = i.indrelid and a.attnum = p.attnum
                   join pg_catalog.pg_attribute r on r.attrelid = unique_expressions.relation and r.attname = a.attname
                   left join journal.undo_generated_from(unique_expressions.relation) b on b.generated = r.attnum
                 union
                 select r.attnum
                   from pg_catalog.pg_partition_ancestors(i.indrelid) t (relid)
                   join pg_catalog.pg_partitioned_table h on h.partrelid = t.relid and i.indrelid <> unique_expressions.relation
                   join pg_catalog.pg_attribute a on a.attrelid = t.relid and a.attnum = any (h.partattrs::int2[])
                   join pg_catalog.pg_attribute r on r.attrelid = unique_expressions.relation and r.attname = a.attname),
           pg_catalog.concat_ws(' and ', coalesce(pg_catalog.pg_get_expr(i.indpred, i.indrelid), 'true'),
                     case when i.indrelid <> unique_expressions.relation then pg_catalog.pg_get_partition_constraintdef(i.indrelid) end),
           pg_catalog.string_agg(pg_catalog.format('%s as journal_%s', p.place, k.n), ', ' order by k.n),
           pg_catalog.string_agg('journal_' || k.n, ', ' order by k.n),
           pg_catalog.string_agg(pg_catalog.format(case when i.indnullsnotdistinct then '(%1$s %2$s w.journal_%3$s or %1$s is null and w.journal_%3$s is null)' else '%s %s w.journal_%s' end, p.place, journal.operator_name(coalesce(x.conexclop[k.n], a.amopopr)), k.n), ' and ' order by k.n),
           pg_catalog.string_agg(pg_catalog.format(case when i.indnullsnotdistinct then '(%%1$s.journal_%1$s %2$s %%2$s.journal_%1$s or %%1$s.journal_%1$s is null and %%2$s.journal_%1$s is null)' else '%%1$s.journal_%1$s %2$s %%2$s.journal_%1$s' end, k.n, journal.operator_name(coalesce(x.conexclop[k.n], a.amopopr))), ' and ' order by k.n),
           pg_catalog.format('%I (%s)', m.amname, pg_catalog.string_agg(pg_catalog.format('journal_%s %I.%I', k.n, q.nspname, o.opcname), ', ' order by k.n))
      from pg_catalog.pg_index i
      join pg_catalog.pg_class c on c.oid = i.indexrelid
      left join pg_catalog.pg_constraint x on x.conindid = i.indexrelid and x.conexclop is not null
     cross join lateral (select i.indexprs is null and i.indpred is null and i.indrelid = unique_expressions.relation
                                and not exists (select from journal.undo_generated_from(i.indrelid) g where g.generated = any (i.indkey::int2[])) as plain) f
     cross join lateral rows from (pg_catalog.unnest(i.indclass::oid[]), pg_catalog.unnest(i.indcollation::oid[])) with ordinality as k (opclass, collation_id, n)
      left join pg_catalog.pg_collation l on l.oid = k.collation_id
      left join pg_catalog.pg_namespace s on s.oid = l.collnamespace
      join pg_catalog.pg_opclass o on o.oid = k.opclass
      join pg_catalog.pg_namespace q on q.oid = o.opcnamespace
      join pg_catalog.pg_am m on m.oid = o.opcmethod
      left join pg_catalog.pg_amop a on a.amopfamily = o.opcfamily and a.amoplefttype = o.opcintype and a.amoprighttype = o.opcintype
                                    and a.amopstrategy = 3 and not i.indisexclusion
     cross join lateral (select pg_catalog.format('(%s)%s', pg_catalog.pg_get_indexdef(i.indexrelid, k.n::integer, false), pg_catalog.format(' collate %I.%I', s.nspname, l.collname))
                          where l.oid is not null
                         union all
                         select pg_catalog.format('(%s)', pg_catalog.pg_get_indexdef(i.indexrelid, k.n::integer, false)) where l.oid is null) p (place)
     where (i.indrelid = unique_expressions.relation
            or i.indrelid in (select t.relid from pg_catalog.pg_partition_tree(unique_expressions.relation::regclass) t)
               and not exists (select from pg_catalog.pg_inherits h where h.inhrelid = i.indexrelid))
       and (i.indisunique or i.indisexclusion) and i.indisvalid
       and (unique_expressions.every or not f.plain)
     group by c.relname, m.amname, f.plain, i.indimmediate, i.indexrelid, i.indnkeyatts, i.indisexclusion, i.indisunique, i.indisprimary, i.indrelid, i.indkey, i.indpred, i.indnullsnotdistinct;
end;

comment on function journal.unique_expressions(oid, boolean) is 'Unique and exclusion constraints, those that are partial or have expressions unless told otherwise. Private.';

-- sql/journal/rollback/undo_has_computed.sql
-- Whether a table may have unique or exclusion constraints that are partial, over expressions or generated columns, or of a partition alone:
-- unique_expressions takes long to plan, and most tables have none.
create function journal.undo_has_computed(relation oid) returns boolean
language plpgsql stable
as $undo_has_computed$
#variable_conflict use_variable
begin
    return exists (select from pg_catalog.pg_index i where i.indrelid = relation and (i.indisunique or i.indisexclusion) and (i.indexprs is not null or i.indpred is not null))
        or exists (select from pg_catalog.pg_attribute a where a.attrelid = relation and a.attgenerated <> '' and not a.attisdropped)
        or exists (select from pg_catalog.pg_partition_tree(relation::regclass) t join pg_catalog.pg_index i on i.indrelid = t.relid and (i.indisunique or i.indisexclusion)
                    where t.level > 0 and not exists (select from pg_catalog.pg_inherits h where h.inhrelid = i.indexrelid));
end
$undo_has_computed$;

comment on function journal.undo_has_computed(oid) is 'Whether a table may have unique places that are computed, or in a partition alone. Private.';

-- sql/journal/rollback/undo_moves.sql
-- Whether a plan may give rows of a table another key, or another place in a unique index or exclusion constraint.
create function journal.undo_moves(relation oid) returns boolean
language plpgsql stable
as $undo_moves$
#variable_conflict use_variable
declare
    changed constant int2[] := (select u.changed || u.restored from pg_temp.journal_undo u where u.relation = undo_moves.relation);
begin
    if changed = '{}' then
        return false;
    elsif changed && journal.undo_key_attnums(relation) then
        return true;
    elsif exists (select from journal.unique_columns(relation) i where changed && i.attnums) then
        return true;
    elsif not journal.undo_has_computed(relation) then
        return false;
    end if;
    return exists (select from journal.unique_expressions(relation) i where changed && i.attnums);
end
$undo_moves$;

comment on function journal.undo_moves(oid) is 'Whether a plan may give rows another key or unique value. Private.';

-- sql/journal/rollback/undo_leaving.sql
-- Condition: the live row (alias x) of a table gives up its values in the given columns, because the rollback removes it
-- or changes one of them. False for tables that are not under rollback.
create function journal.undo_leaving(relation oid, attnums int2[]) returns text
language plpgsql stable
as $undo_leaving$
#variable_conflict use_variable
begin
    return (
        select coalesce((
            select pg_catalog.format('exists (select from pg_temp.journal_undo_%s y where (y.status = ''remove'' or y.status = ''restore'' and y.restored && %L) and %s)',
                                     u.relation, attnums, journal.undo_key_match(u.relation, 'y.a%1$s', 'x'))
              from pg_temp.journal_undo u where u.relation = undo_leaving.relation and u.target is not null), 'false')
    );
end
$undo_leaving$;

comment on function journal.undo_leaving(oid, int2[]) is 'SQL text: the rollback takes the given values away from the live row x. Private.';

-- sql/journal/rollback/live_key.sql
-- SQL text: the key of a live row as the images of its table spell it; null where the table has no primary key.
create function journal.live_key(relation oid, alias text) returns text
language sql stable
begin atomic
    select coalesce('pg_catalog.format(''%s'', row(' || pg_catalog.string_agg(
                        journal.undo_live(live_key.alias, pg_catalog.quote_ident(a.attname), journal.image_type(a.atttypid) like '*%',
                                          pg_catalog.format_type(a.atttypid, a.atttypmod), pg_catalog.format_type(journal.base_type(a.atttypid), -1)),
                        ', ' order by k.n) || '))', 'null::text')
      from pg_catalog.pg_index i
     cross join lateral pg_catalog.unnest(i.indkey::int2[]) with ordinality as k (attnum, n)
      join pg_catalog.pg_attribute a on a.attrelid = i.indrelid and a.attnum = k.attnum
     where i.indrelid = live_key.relation and i.indisprimary and k.n <= i.indnkeyatts;
end;

comment on function journal.live_key(oid, text) is 'SQL text: the key of a live row as images spell it. Private.';

-- sql/journal/rollback/undo_last_statements.sql
-- The last journaled statement since one of anybody but the rolled back sessions, and the rollback itself, on each of some rows.
create function journal.undo_last_statements(relation oid, keys text[], since bigint default 0) returns table (row_key text, statement_id bigint)
language plpgsql stable
as $undo_last_statements$
#variable_conflict use_column
begin
    return query
    select o.row_key, max(o.statement_id)
      from pg_temp.journal_undo_args a
     cross join lateral journal.undo_others(undo_last_statements.relation, a.session_ids, a.step_ids, since, keys, rollback_id => a.rollback_id) o
     where not o.family
     group by o.row_key;
end
$undo_last_statements$;

comment on function journal.undo_last_statements(oid, text[], bigint) is 'The last statements of others on some rows. Private.';

-- sql/journal/rollback/undo_lands_in.sql
-- Condition: the key that row u of a work table has belongs into a given part of its table. Whatever decides that is in the key. image is the pattern
-- of an image column, as for undo_key_match.
create function journal.undo_lands_in(part oid, relation oid, image text) returns text
language plpgsql stable
as $undo_lands_in$
#variable_conflict use_variable
begin
    return case when part = relation then 'true'
                else (select pg_catalog.format('(select %s from (select %s) k)', pg_get_partition_constraintdef(part),
                                               string_agg(pg_catalog.format('%s as %s', journal.undo_value(pg_catalog.format(image, c.attnum), c.as_text, c.live_type), c.name), ', '))
                        from pg_temp.journal_undo_column c
                       where c.relation = undo_lands_in.relation and c.key_position is not null) end;
end
$undo_lands_in$;

comment on function journal.undo_lands_in(oid, oid, text) is 'SQL text: the key of a row belongs into a part of its table. Private.';

-- sql/journal/rollback/undo_refers.sql
-- Condition: live row x refers to live row t by a foreign key, where that is in force.
create function journal.undo_refers(foreign_key oid) returns text
language sql stable
begin atomic
    select pg_catalog.string_agg(pg_catalog.format('t.%I %s x.%I', p.attname, journal.operator_name(k.operator), a.attname), ' and ' order by k.n)
           || ' and ' || journal.undo_stands_in(f.confrelid, coalesce(pg_catalog.pg_partition_root(f.confrelid)::oid, f.confrelid), 't')
           || ' and ' || journal.undo_stands_in(f.conrelid, coalesce(pg_catalog.pg_partition_root(f.conrelid)::oid, f.conrelid), 'x')
      from pg_catalog.pg_constraint f
     cross join lateral rows from (unnest(f.confkey), unnest(f.conkey), unnest(f.conpfeqop)) with ordinality as k (parent, child, operator, n)
      join pg_catalog.pg_attribute p on p.attrelid = f.confrelid and p.attnum = k.parent
      join pg_catalog.pg_attribute a on a.attrelid = f.conrelid and a.attnum = k.child
     where f.oid = foreign_key
     group by f.confrelid, f.conrelid;
end;

comment on function journal.undo_refers(oid) is 'SQL text: a row refers to another by a foreign key. Private.';

-- sql/journal/rollback/undo_check_referenced.sql
-- Foreign keys that point at the rows a rollback would remove or re-key: rows that somebody else hung below them are
-- never touched, whatever the foreign key would do. Where keys cascade on update, children follow and nothing is lost. What
-- the caller may not see cannot be looked for: where the foreign key would take hidden rows along, the rollback refuses; where it
-- would not, the database itself does.
create function journal.undo_check_referenced(relation oid) returns bigint
language plpgsql volatile
as $undo_check_referenced$
#variable_conflict use_variable
declare
    item  record;
    more  bigint;
    total bigint := 0;
begin
    for item in
        select f.*, journal.unreadable(f.child) as unreadable, journal.qualified_name(f.child_part) as child_name,
               journal.undo_refers(f.oid) as refers
          from journal.undo_foreign_keys(relation) f
          join pg_temp.journal_undo u on u.relation = f.parent
         where f.parent = undo_check_referenced.relation and (u.removes or u.restored && f.parent_attnums and f.on_update <> 'c')
    loop
        if item.unreadable is not null then
            execute format('update pg_temp.journal_undo_%s u set status = ''refuse'', reason = %L, constraint_name = %L, theirs = %L
                             where u.status = ''remove'' and %L or u.status = ''restore'' and u.restored && %L and %L',
                           relation, item.unreadable, item.name, item.child_name || ' may refer to it',
                           item.on_delete not in ('a', 'r'), item.parent_attnums, item.on_update not in ('a', 'r', 'c'));
            get diagnostics more = row_count;
            total := total + more;
            continue;
        end if;
        execute format($check$
            update pg_temp.journal_undo_%1$s u
               set status = 'conflict', reason = 'referenced_since', constraint_name = %2$L, theirs = r.their[1], their_key = r.their[2], their_relation = %12$s
              from (select u.row_no, min(array[%3$L || ' ' || %4$s, %13$s]) as their
                      from pg_temp.journal_undo_%1$s u
                      join %5$s t on %6$s
                      join %7$s x on %8$s
                     where (u.status = 'remove' or u.status = 'restore' and u.restored && %9$L and %10$L <> 'c') and not %11$s
                     group by u.row_no) r
             where r.row_no = u.row_no$check$,
            relation, item.name, item.child_name, journal.key_text(item.child, 'x'),
            journal.undo_rows(relation), journal.undo_key_match(relation, 'u.a%1$s'),
            journal.undo_rows(item.child), item.refers, item.parent_attnums, item.on_update,
            journal.undo_leaving(item.child, item.child_attnums), item.child, journal.live_key(item.child, 'x'));
        get diagnostics more = row_count;
        total := total + more;
    end loop;
    return total;
end
$undo_check_referenced$;

comment on function journal.undo_check_referenced(oid) is 'Turns away rows that others refer to; returns how many. Private.';

-- sql/journal/rollback/undo_parent_value.sql
-- SQL text: the value that a referenced column gets back in row y of its table's work table; null where it is not part of the key, of which alone
-- it is known without the live row.
create function journal.undo_parent_value(relation oid, attnum int2) returns text
language plpgsql stable
as $undo_parent_value$
#variable_conflict use_variable
begin
    return (
        select journal.undo_value('y.b' || c.attnum, c.as_text, c.live_type)
          from pg_temp.journal_undo_column c
         where c.relation = undo_parent_value.relation and c.attnum = undo_parent_value.attnum and c.key_position is not null and c.problem is null
    );
end
$undo_parent_value$;

comment on function journal.undo_parent_value(oid, int2) is 'SQL text: the value a referenced column gets back. Private.';

-- sql/journal/rollback/undo_would_be.sql
-- SQL text: the value that a column of row u (its live row is t) would have after the rollback.
create function journal.undo_would_be(relation oid, attnum int2) returns text
language plpgsql stable
as $undo_would_be$
#variable_conflict use_variable
begin
    return (
        select case when c.carried and c.problem is null
                    then format('case when u.kind = ''U'' and %s <> all (u.restored) then t.%s else %s end', c.attnum, c.name,
                                journal.undo_value('u.b' || c.attnum, c.as_text, c.live_type))
                    else 't.' || c.name end
          from pg_temp.journal_undo_column c
         where c.relation = undo_would_be.relation and c.attnum = undo_would_be.attnum
    );
end
$undo_would_be$;

comment on function journal.undo_would_be(oid, int2) is 'SQL text: the value of a column after the rollback. Private.';

-- sql/journal/rollback/undo_check_referencing.sql
-- Foreign keys of the rows a rollback would insert again or point back: what they refer to must be there, or come back
-- in the same rollback. Where the caller may not see them it is left to the database, which looks as the table's owner.
create function journal.undo_check_referencing(relation oid) returns bigint
language plpgsql volatile
as $undo_check_referencing$
#variable_conflict use_variable
declare
    item  record;
    more  bigint;
    total bigint := 0;
begin
    if not exists (select from pg_temp.journal_undo u
                     join pg_class c on c.oid = u.relation
                    where u.relation = undo_check_referencing.relation
                      and (c.relkind = 'p' or exists (select from pg_constraint f where f.conrelid = u.relation and f.contype = 'f' and (u.reinserts or u.restored && f.conkey)))) then
        return 0;
    end if;
    for item in
        select f.*, journal.qualified_name(f.parent_part) as parent_name, k.*,
               exists (select from pg_temp.journal_undo p where p.relation = f.parent and p.target is not null) as under_rollback
          from journal.undo_foreign_keys(relation) f
          join pg_temp.journal_undo u on u.relation = f.child
         cross join lateral (
               select string_agg(format('x.%I %s w.w%s', p.attname, journal.operator_name(k.operator), k.n), ' and ') as live_match,
                      string_agg(format('%s as w%s', journal.undo_would_be(relation, k.child), k.n), ', ') as would_be,
                      case when count(journal.undo_parent_value(f.parent, k.parent)) = count(*)
                           then string_agg(format('%s %s w.w%s', journal.undo_parent_value(f.parent, k.parent), journal.operator_name(k.operator), k.n), ' and ') end as image_match,
                      string_agg(format('%s %s w.w%s', journal.undo_would_be(f.parent, k.parent), journal.operator_name(k.operator), k.n), ' and ') as row_match,
                      string_agg(format('w.w%s is not null', k.n), ' and ') as complete
                 from rows from (unnest(f.parent_attnums), unnest(f.child_attnums), unnest(f.operators)) with ordinality as k (parent, child, operator, n)
                 join pg_attribute p on p.attrelid = f.parent and p.attnum = k.parent) k
         where f.child = undo_check_referencing.relation and journal.unreadable(f.parent) is null
           and (u.reinserts or u.restored && f.child_attnums) and k.would_be is not null
    loop
        execute format($check$
            update pg_temp.journal_undo_%1$s u
               set status = 'conflict', reason = 'deleted_since', constraint_name = %2$L, theirs = %3$L
              from (select u.row_no, %4$s from pg_temp.journal_undo_%1$s u left join %5$s t on %6$s
                     where (u.status = 'reinsert' or u.status = 'restore' and u.restored && %7$L) and %14$s) w
             where w.row_no = u.row_no and %8$s
               and not exists (select from %9$s x where %10$s and %13$s and not %11$s)
               %12$s$check$,
            relation, item.name, item.parent_name || ' has no such row', item.would_be, journal.undo_rows(relation),
            journal.undo_key_match(relation, 'coalesce(u.a%1$s, u.b%1$s)'), item.child_attnums, item.complete,
            journal.undo_rows(item.parent), item.live_match,
            journal.undo_leaving(item.parent, item.parent_attnums),
            case when not item.under_rollback then ''
                 when item.image_match is not null then
                     format('and not exists (select from pg_temp.journal_undo_%s y where (y.status = ''reinsert'' or y.status = ''restore'' and y.restored && %L) and %s)',
                            item.parent, item.parent_attnums, item.image_match)
                 else format('and not exists (select from pg_temp.journal_undo_%s u left join %s t on %s where (u.status = ''reinsert'' or u.status = ''restore'' and u.restored && %L) and %s)',
                             item.parent, journal.undo_rows(item.parent), journal.undo_key_match(item.parent, 'coalesce(u.a%1$s, u.b%1$s)'), item.parent_attnums, item.row_match) end,
            journal.undo_stands_in(item.parent_part, item.parent, 'x'),
            journal.undo_lands_in(item.child_part, relation, 'coalesce(u.b%1$s, u.a%1$s)'));
        get diagnostics more = row_count;
        total := total + more;
    end loop;
    return total;
end
$undo_check_referencing$;

comment on function journal.undo_check_referencing(oid) is 'Turns away rows whose referenced rows are gone; returns how many. Private.';

-- sql/journal/rollback/undo_check_unique.sql
-- Unique and exclusion constraints over plain columns: the value that a row gets back may have been taken. Rows that give
-- the value up in the same rollback do not count. That nobody has the very key of a row that comes back was found when it was judged.
create function journal.undo_check_unique(relation oid) returns bigint
language plpgsql volatile
as $undo_check_unique$
#variable_conflict use_variable
declare
    item  record;
    more  bigint;
    total bigint := 0;
begin
    for item in
        select i.attnums, i.name, i.exclusion, m.*
          from journal.unique_columns(relation) i
         cross join lateral (
               select string_agg(format(case when i.nulls_distinct then 'x.%1$s %2$s %3$s' else '(x.%1$s %2$s %3$s or x.%1$s is null and (%3$s) is null)' end, c.name, journal.operator_name(k.operator), journal.undo_would_be(relation, k.attnum)), ' and ') as taken,
                      bool_and(c.problem is null and c.image_type is not null) as known
                 from unnest(i.attnums, i.operators) as k (attnum, operator)
                 join pg_temp.journal_undo_column c on c.relation = undo_check_unique.relation and c.attnum = k.attnum) m
          join pg_temp.journal_undo u on u.relation = undo_check_unique.relation
         where m.known and (u.reinserts and (not i.primary_key or i.exclusion) or u.restored && i.attnums)
    loop
        execute format($check$
            update pg_temp.journal_undo_%1$s u
               set status = 'conflict', reason = %2$L, constraint_name = %3$L, theirs = r.their[1], their_key = r.their[2], their_relation = %1$s
              from (select u.row_no, min(array[%4$s, %10$s]) as their
                      from pg_temp.journal_undo_%1$s u
                      left join %5$s t on %6$s
                      join %5$s x on %7$s and (x.tableoid, x.ctid) is distinct from (t.tableoid, t.ctid)
                     where (u.status = 'reinsert' or u.status = 'restore' and u.restored && %8$L) and not %9$s
                     group by u.row_no) r
             where r.row_no = u.row_no$check$,
            relation, case when item.exclusion then 'exclusion_taken' else 'unique_taken' end, item.name, journal.key_text(relation, 'x'),
            journal.undo_rows(relation), journal.undo_key_match(relation, 'u.a%1$s'), item.taken, item.attnums,
            journal.undo_leaving(relation, item.attnums), journal.live_key(relation, 'x'));
        get diagnostics more = row_count;
        total := total + more;
    end loop;
    return total;
end
$undo_check_unique$;

comment on function journal.undo_check_unique(oid) is 'Turns away rows whose unique values are taken; returns how many. Private.';

-- sql/journal/rollback/undo_rows_as_they_would_be.sql
-- SQL text, up to the set of columns that matters: the rows that a rollback restores in one of these columns, or inserts again, as they would be, with
-- their number in the work table (journal_row_no) and the place of the live row (journal_tableoid, journal_ctid), which stands here. Generated columns
-- are generated anew.
create function journal.undo_rows_as_they_would_be(relation oid, here text default 'coalesce(u.a%1$s, u.b%1$s)') returns text
language plpgsql stable
as $undo_rows_as_they_would_be$
#variable_conflict use_variable
declare
    stored constant text := (select string_agg(format('%s as %s', journal.undo_would_be(relation, c.attnum), c.name), ', ' order by c.attnum)
                               from pg_temp.journal_undo_column c
                              where c.relation = undo_rows_as_they_would_be.relation and c.live_type is not null and not c.generated);
begin
    return (
        select format('select u.row_no as journal_row_no, t.tableoid as journal_tableoid, t.ctid as journal_ctid, %s from pg_temp.journal_undo_%s u left join %s t on %s'
                      ' where u.status = ''reinsert'' or u.status = ''restore'' and u.restored && ',
                      concat_ws(', ', stored, string_agg(format('(select %s from (select %s) journal_stored) as %s', pg_get_expr(g.adbin, g.adrelid), stored, c.name), ', ' order by c.attnum)),
                      relation, journal.undo_rows(relation), journal.undo_key_match(relation, here))
          from pg_temp.journal_undo_column c
          join pg_attrdef g on g.adrelid = c.relation and g.adnum = c.attnum
         where c.relation = undo_rows_as_they_would_be.relation and c.live_type is not null and c.generated);
end
$undo_rows_as_they_would_be$;

comment on function journal.undo_rows_as_they_would_be(oid, text) is 'SQL text: the rows of a table after the rollback, but for the columns that matter. Private.';

-- sql/journal/rollback/undo_catalog_first.sql
-- For expressions of the user's that pg_get_expr printed under the pinned search_path: what functions in them look up is found on
-- the caller's, while the operators of our own text stay those of pg_catalog.
create function journal.undo_catalog_first() returns void
language sql volatile
begin atomic
    select pg_catalog.set_config('search_path', pg_catalog.concat_ws(', ', 'pg_catalog',
               nullif(pg_catalog.current_setting('journal.caller_settings')::jsonb ->> 'search_path', ''), 'pg_temp'), true);
end;

comment on function journal.undo_catalog_first() is 'Sets the search_path under which expressions of constraints are run. Private.';

-- sql/journal/rollback/undo_check_unique_index.sql
-- Unique indexes that are partial, or over expressions or generated columns, and exclusion constraints like them: what the rows would have in the index after the
-- rollback is computed from their columns as they would be, and looked up in the index. Rows that give the place up in the same
-- rollback do not count; they are told outside of the lookup, where they are joined once and not once for each row.
create function journal.undo_check_unique_index(relation oid) returns bigint
language plpgsql volatile
as $undo_check_unique_index$
#variable_conflict use_variable
declare
    item  record;
    more  bigint;
    total bigint := 0;
    would text;
begin
    if not journal.undo_has_computed(relation) then
        return 0;
    end if;
    for item in
        select i.*
          from journal.unique_expressions(relation) i
          join pg_temp.journal_undo u on u.relation = undo_check_unique_index.relation
         where (u.reinserts or u.restored && i.attnums) and not exists (
               select from pg_temp.journal_undo_column c where c.relation = undo_check_unique_index.relation and c.attnum = any (i.attnums)
                       and (c.generated or c.problem is not null or c.image_type is null))
    loop
        would := coalesce(would, journal.undo_rows_as_they_would_be(relation));
        perform journal.undo_catalog_first();
        execute format($check$
            with w as materialized (
                select r.journal_row_no, r.journal_tableoid, r.journal_ctid, %4$s from (%5$s%6$L) r where %7$s
            )
            update pg_temp.journal_undo_%1$s u
               set status = 'conflict', reason = %2$L, constraint_name = %3$L, theirs = r.their[1], their_key = r.their[2], their_relation = %1$s
              from (select w.journal_row_no, min(array[%8$s, %9$s]) as their
                      from w
                     cross join lateral (
                           select x.*, x.tableoid, x.ctid from %10$s x
                            where %7$s and %11$s and (x.tableoid, x.ctid) is distinct from (w.journal_tableoid, w.journal_ctid)) x
                     where not %12$s
                     group by w.journal_row_no) r
             where r.journal_row_no = u.row_no$check$,
            relation, case when item.exclusion then 'exclusion_taken' else 'unique_taken' end, item.name,
            item.computed, would, item.attnums, item.predicate,
            journal.key_text(relation, 'x'), journal.live_key(relation, 'x'), journal.undo_rows(relation), item.same,
            journal.undo_leaving(relation, item.attnums));
        get diagnostics more = row_count;
        perform journal.undo_as_caller(false);
        total := total + more;
    end loop;
    return total;
end
$undo_check_unique_index$;

comment on function journal.undo_check_unique_index(oid) is 'Turns away rows whose place in a partial or expression index is taken; returns how many. Private.';

-- sql/journal/rollback/undo_check_each_other.sql
-- Rows that would be in each other's way in a unique index: the session gave a value up, others took it for a row of theirs, and
-- the session took it away from that one, too. It is the last one's; those before it are turned away. Rows of one statement had
-- different values. Where that is not what = says, as in exclusion constraints, what meets is found by an index like theirs; of rows that meet one after the other, the last but one is turned away first.
create function journal.undo_check_each_other(relation oid) returns bigint
language plpgsql volatile
as $undo_check_each_other$
#variable_conflict use_variable
declare
    item   record;
    would  text;
    places text;
    pairs  text;
    twice  boolean;
    again  boolean;  -- whether rows were deleted twice under one key
    more   bigint;
    total  bigint := 0;
begin
    execute format('select exists (select from (select u.first_statement from pg_temp.journal_undo_%1$s u limit 1) f join pg_temp.journal_undo_%1$s u on u.first_statement <> f.first_statement)',
                   relation) into twice;
    if not twice then
        return 0;
    end if;
    execute format('select exists (select from pg_temp.journal_undo_%s u where u.status = ''reinsert'' group by %s having count(*) > 1)',
                   relation, journal.undo_list(relation, 'u.b%1$s', ', ', 'key')) into again;
    for item in
        select i.*, u.first_statement
          from journal.unique_expressions(relation, every => true) i
          join pg_temp.journal_undo u on u.relation = undo_check_each_other.relation
         where (u.reinserts and (not i.primary_key or i.exclusion or again or u.changed && i.attnums) or u.restored && i.attnums) and not exists (
               select from pg_temp.journal_undo_column c where c.relation = undo_check_each_other.relation and c.attnum = any (i.attnums)
                       and (c.generated or c.problem is not null or c.image_type is null))
    loop
        would := coalesce(would, journal.undo_rows_as_they_would_be(relation));
        places := format('select * from (select r.journal_row_no, %s from (%s%L) r where %s) w where %s',
                         item.computed, would, item.attnums, item.predicate,
                         case when item.nulls_distinct then format('num_nulls(%s) = 0', item.places) else 'true' end);
        perform journal.undo_catalog_first();
        if item.usual then
            execute format('select exists (select from (%s) w group by %s having count(*) > 1)', places, item.places) into twice;
            pairs := format('select w.journal_row_no, first_value(w.journal_row_no) over (partition by %s order by u.last_statement desc, u.row_no desc) as last_row_no
                               from (%s) w join pg_temp.journal_undo_%s u on u.row_no = w.journal_row_no', item.places, places, relation);
        else
            perform journal.undo_drop('journal_undo_place');
            execute format('create temporary table journal_undo_place on commit drop as
                            select w.*, u.last_statement as journal_at from (%s) w join pg_temp.journal_undo_%s u on u.row_no = w.journal_row_no', places, relation);
            execute 'create index on pg_temp.journal_undo_place using ' || item.indexed;
            analyze pg_temp.journal_undo_place;
            twice := true;
            pairs := format('select w.journal_row_no, min(x.journal_row_no) as last_row_no
                               from pg_temp.journal_undo_place w join pg_temp.journal_undo_place x on %1$s and (x.journal_at, x.journal_row_no) > (w.journal_at, w.journal_row_no)
                              where not exists (select from pg_temp.journal_undo_place z where %2$s and (z.journal_at, z.journal_row_no) > (x.journal_at, x.journal_row_no))
                              group by w.journal_row_no', format(item.meeting, 'x', 'w'), format(item.meeting, 'z', 'x'));
        end if;
        if twice then
            execute format($check$
                with met as (
                    %3$s
                ), turned as materialized (
                    select m.journal_row_no, %5$s as theirs, %6$s as row_key
                      from met m join pg_temp.journal_undo_%1$s y on y.row_no = m.last_row_no
                     where m.last_row_no <> m.journal_row_no
                )
                update pg_temp.journal_undo_%1$s u
                   set status = 'conflict', reason = %4$L, constraint_name = %2$L, theirs = t.theirs, their_statement = o.statement_id
                  from turned t
                  left join journal.undo_last_statements(%1$s, array(select distinct row_key from turned), %7$s) o using (row_key)
                 where u.row_no = t.journal_row_no$check$,
                relation, item.name, pairs,
                case when item.exclusion then 'exclusion_taken' when item.primary_key then 'key_reused' else 'unique_taken' end,
                (select format('concat(''('', %s, '')'')', string_agg(format('%L, coalesce(y.a%s, y.b%2$s)', case when c.key_position = 1 then '' else ', ' end || c.name || '=', c.attnum), ', ' order by c.key_position))
                   from pg_temp.journal_undo_column c where c.relation = undo_check_each_other.relation and c.key_position is not null),
                format('format(''%%s'', row(%s))', journal.undo_list(relation, 'y.b%1$s', ', ', 'key')), item.first_statement);
            get diagnostics more = row_count;
            total := total + more;
        end if;
        perform journal.undo_as_caller(false);
    end loop;
    return total;
end
$undo_check_each_other$;

comment on function journal.undo_check_each_other(oid) is 'Turns away rows that would take a unique place from each other; returns how many. Private.';

-- sql/journal/rollback/undo_parking.sql
-- SQL text of a value that a column of row t can be parked at while others take its place: nothing that any row has. NULL is
-- never in the way, nor, mostly, is an empty range under an exclusion constraint (empties); for other types a value is made that nobody uses. Null where there is no such value, as under a foreign key.
-- Where others follow by ON UPDATE CASCADE it is never NULL: they would not follow back.
create function journal.undo_parking(relation oid, attnum int2, nulls_distinct boolean, empties boolean) returns text
language plpgsql stable
as $undo_parking$
#variable_conflict use_variable
declare
    item record;
begin
    select c.name, c.live_type, c.not_null, b.typname, b.typtype, a.atttypmod, a.attidentity,
           case when b.typsubscript = 'pg_catalog.array_subscript_handler'::regproc then format_type(b.typelem, null) end as element into item
      from pg_temp.journal_undo_column c
      join pg_attribute a on a.attrelid = c.relation and a.attnum = c.attnum
      join pg_type b on b.oid = journal.base_type(a.atttypid)
     where c.relation = undo_parking.relation and c.attnum = undo_parking.attnum;
    return case
        when item.attidentity = 'a' then null  -- takes no value in an UPDATE
        when not item.not_null and nulls_distinct
             and not exists (select from journal.undo_foreign_keys(relation) f where f.parent = relation and attnum = any (f.parent_attnums) and f.on_update = 'c') then 'null'
        when exists (select from journal.undo_foreign_keys(relation) f where f.child = relation and attnum = any (f.child_attnums)) then null
        when item.typtype in ('r', 'm') and empties then format('%L::%s', case item.typtype when 'r' then 'empty' else '{}' end, item.live_type)
        when item.typname in ('int2', 'int4', 'int8', 'numeric') then
            format('(select pg_catalog.max(p.%1$s) operator(pg_catalog.+) u.row_no from %2$s p)::%3$s', item.name, journal.undo_rows(relation), item.live_type)
        when item.typname in ('date', 'timestamp', 'timestamptz') then
            format('(select pg_catalog.max(p.%1$s) operator(pg_catalog.+) pg_catalog.make_interval(days => u.row_no::integer) from %2$s p where pg_catalog.isfinite(p.%1$s))::%3$s',
                   item.name, journal.undo_rows(relation), item.live_type)
        when item.typname in ('text', 'varchar', 'bpchar') then
            format('pg_catalog.left(pg_catalog.replace(pg_catalog.gen_random_uuid()::text, ''-'', ''''), %s)::%s',
                   case when item.atttypmod > 4 then item.atttypmod - 4 else 32 end, item.live_type)
        when item.typname = 'uuid' then format('pg_catalog.gen_random_uuid()::%s', item.live_type)
        when item.typname = 'bytea' then format('pg_catalog.uuid_send(pg_catalog.gen_random_uuid())::%s', item.live_type)
        when item.typname = 'jsonb' then format('pg_catalog.jsonb_build_object(pg_catalog.gen_random_uuid()::text, null)::%s', item.live_type)
        when item.typtype = 'r' and item.typname in ('int4range', 'int8range', 'numrange', 'daterange') then
            format('(select %1$s(pg_catalog.max(pg_catalog.upper(p.%2$s)) operator(pg_catalog.+) 2 operator(pg_catalog.*) u.row_no%4$s, pg_catalog.max(pg_catalog.upper(p.%2$s)) operator(pg_catalog.+) 2 operator(pg_catalog.*) u.row_no%4$s operator(pg_catalog.+) 1) from %3$s p)::%5$s',
                   'pg_catalog.' || item.typname, item.name, journal.undo_rows(relation), case when item.typname in ('int4range', 'daterange') then '::integer' else '' end, item.live_type)
        -- arrays that begin elsewhere are others
        when item.element is not null then
            format('pg_catalog.array_fill(null::%s, ''{1}'', array[-2000000000 operator(pg_catalog.+) u.row_no::integer])::%s', item.element, item.live_type)
        end;
end
$undo_parking$;

comment on function journal.undo_parking(oid, int2, boolean, boolean) is 'SQL text of a value that is in nobody''s way. Private.';

-- sql/journal/rollback/undo_parked.sql
-- The column of a unique place at which rows of a rollback can be parked, and the value for it: one that the rollback restores, or else
-- another, which is put back with them. None where no column has such a value, or only one of the key.
create function journal.undo_parked(relation oid, attnums int2[], nulls_distinct boolean, empties boolean)
returns table (attnum int2, name text, parking text)
language plpgsql stable
as $undo_parked$
#variable_conflict use_column
begin
    return query
    select c.attnum, c.name, p.parking
      from pg_temp.journal_undo u
      join pg_temp.journal_undo_column c on c.relation = u.relation and c.attnum = any (undo_parked.attnums)
     cross join lateral journal.undo_parking(u.relation, c.attnum, undo_parked.nulls_distinct, undo_parked.empties) as p (parking)
     where u.relation = undo_parked.relation and p.parking is not null and c.key_position is null
       and (c.attnum = any (u.restored)
            or c.image_type is not null and c.problem is null and not c.generated and c.attnum <> all (journal.undo_maintained(u.relation))
               and has_column_privilege(u.relation, c.attnum, 'update')
               and not exists (select from journal.undo_foreign_keys(u.relation) f where f.parent = u.relation and c.attnum = any (f.parent_attnums) and f.on_update in ('n', 'd')))
     order by c.attnum <> all (u.restored), p.parking <> 'null'
     limit 1;
end
$undo_parked$;

comment on function journal.undo_parked(oid, int2[], boolean, boolean) is 'The column of a unique place at which rows can be parked. Private.';

-- sql/journal/rollback/undo_way.sql
-- SQL text: which rows that are restored wait for others in a unique place (of unique_expressions), because these have it now: the numbers of both in the work
-- table (waits_for null: not one that is restored), and whether it waits for nobody else. would: the rows as they would be.
create function journal.undo_way(relation oid, predicate text, computed text, same text, would text, attnums int2[]) returns text
language sql stable
begin atomic
    select pg_catalog.format($way$
        with w as materialized (
            select r.journal_row_no, r.journal_tableoid, r.journal_ctid, (%2$s) is true as journal_in, %3$s from (%4$s%5$L) r where r.journal_ctid is not null
        ), taken as materialized (
            select w.journal_row_no as waits, x.tableoid, x.ctid, count(*) over (partition by w.journal_row_no) = 1 as alone
              from w
             cross join lateral (
                   select x.tableoid, x.ctid from %1$s x
                    where %2$s and %6$s and (x.tableoid, x.ctid) is distinct from (w.journal_tableoid, w.journal_ctid)) x
             where w.journal_in
        )
        select k.waits, k.alone, y.journal_row_no as waits_for
          from taken k left join w y on (y.journal_tableoid, y.journal_ctid) = (k.tableoid, k.ctid)$way$,
        journal.undo_rows(relation), predicate, computed, would, attnums, same);
end;

comment on function journal.undo_way(oid, text, text, text, text, int2[]) is 'SQL text: which rows wait for which in a unique place. Private.';

-- sql/journal/rollback/undo_check_circles.sql
-- Rows that hand a unique place on in a circle, of values at which none of them can wait meanwhile, such as true and false: no order of statements puts
-- them back (undo_make_way).
create function journal.undo_check_circles(relation oid) returns bigint
language plpgsql volatile
as $undo_check_circles$
#variable_conflict use_variable
declare
    item  record;
    level bigint[];
    more  bigint;
    total bigint := 0;
    would text;
begin
    for item in
        select i.*
          from journal.unique_expressions(relation, every => true) i
          join pg_temp.journal_undo u on u.relation = undo_check_circles.relation and u.restored && i.attnums
         where i.immediate and not i.primary_key and not exists (select from journal.undo_parked(relation, i.attnums, i.plain and i.nulls_distinct, i.empties)) and not exists (
               select from pg_temp.journal_undo_column c
                where c.relation = undo_check_circles.relation and c.attnum = any (i.attnums)
                  and (c.generated or c.problem is not null or c.image_type is null or c.key_position is not null and c.attnum = any (u.restored)))
    loop
        would := coalesce(would, journal.undo_rows_as_they_would_be(relation));
        perform journal.undo_drop('journal_undo_way'), journal.undo_catalog_first();
        execute format('create temporary table journal_undo_way on commit drop as select * from (%s) k where k.waits_for is not null',
                       journal.undo_way(relation, item.predicate, item.computed, item.same, would, item.attnums));
        perform journal.undo_as_caller(false);
        create index on pg_temp.journal_undo_way (waits_for);
        create index on pg_temp.journal_undo_way (waits);
        level := array(select k.waits_for from pg_temp.journal_undo_way k except select k.waits from pg_temp.journal_undo_way k);
        while level <> '{}' loop
            with freed as (
                delete from pg_temp.journal_undo_way k where k.waits_for = any (level) returning k.waits
            )
            select coalesce(array_agg(distinct f.waits), '{}') into level from freed f;
            level := array(select l from unnest(level) l where not exists (select from pg_temp.journal_undo_way k where k.waits = l));
        end loop;
        execute format($check$
            update pg_temp.journal_undo_%1$s u
               set status = 'conflict', reason = %2$L, constraint_name = %3$L, theirs = r.their[1], their_key = r.their[2], their_relation = %1$s
              from (select k.waits, min(array[%4$s, %5$s]) as their
                      from pg_temp.journal_undo_way k
                      join pg_temp.journal_undo_%1$s y on y.row_no = k.waits_for
                      join %6$s x on %7$s
                     group by k.waits) r
             where r.waits = u.row_no$check$,
            relation, case when item.exclusion then 'exclusion_taken' else 'unique_taken' end, item.name, journal.key_text(relation, 'x'),
            journal.live_key(relation, 'x'), journal.undo_rows(relation), journal.undo_key_match(relation, 'y.a%1$s', 'x'));
        get diagnostics more = row_count;
        total := total + more;
    end loop;
    return total;
end
$undo_check_circles$;

comment on function journal.undo_check_circles(oid) is 'Turns rows away that hand unique values on in a circle. Private.';

-- sql/journal/rollback/undo_check_constraints.sql
-- CHECK and NOT NULL constraints on the rows as they would be: one that was added since, or one that somebody's later work
-- on other columns makes fail, turns the row away. One that is not valid holds every row that is written, whichever of its columns change. What a row
-- that comes back would have in a column that is new is the server's to say, and so is what a constraint on that column says to it.
create function journal.undo_check_constraints(relation oid) returns bigint
language plpgsql volatile
as $undo_check_constraints$
#variable_conflict use_variable
declare
    plan    record;
    item    record;
    more    bigint;
    total   bigint := 0;
    would   text;
begin
    select * into plan from pg_temp.journal_undo u where u.relation = undo_check_constraints.relation;
    for item in
        select x.conname, x.conkey[1] as culprit, m.attnums, pg_get_expr(x.conbin, x.conrelid) as holds, exists (
                   select from pg_temp.journal_undo_column c
                    where c.relation = undo_check_constraints.relation and c.attnum = any (x.conkey) and c.problem = 'added') as met_new
          from pg_constraint x
         cross join lateral (
               select case when x.convalidated then x.conkey || array(select g.attnum from journal.undo_generated_from(relation) g where g.generated = any (x.conkey))
                           else plan.restored end as attnums) m
         where x.conrelid = relation and x.contype = 'c' and journal.undo_is_enforced(x.oid) and (plan.reinserts or plan.restored && m.attnums)
        union all
        select n.conname, c.attnum, case when n.convalidated is not false then array[c.attnum] else plan.restored end, c.name || ' is not null', c.problem = 'added'
          from pg_temp.journal_undo_column c
          left join pg_constraint n on n.conrelid = c.relation and n.contype = 'n' and n.conkey = array[c.attnum]
         where c.relation = undo_check_constraints.relation and c.not_null and c.key_position is null
           and (n.convalidated is false or c.carried and c.problem is null and (plan.reinserts or c.attnum = any (plan.restored)))
    loop
        would := coalesce(would, journal.undo_rows_as_they_would_be(relation));
        perform journal.undo_catalog_first();
        execute format($check$
            update pg_temp.journal_undo_%1$s u
               set status = 'conflict', reason = 'constraint_added', constraint_name = %2$L, culprit = %3$s
             where u.row_no in (select r.journal_row_no from (%4$s%5$L) r where not (%6$s)%7$s)$check$,
            relation, item.conname, item.culprit, would, item.attnums, item.holds, case when item.met_new then ' and r.journal_ctid is not null' end);
        get diagnostics more = row_count;
        perform journal.undo_as_caller(false);
        total := total + more;
    end loop;
    return total;
end
$undo_check_constraints$;

comment on function journal.undo_check_constraints(oid) is 'Turns away rows that a constraint would not accept; returns how many. Private.';

-- sql/journal/rollback/undo_check_identity.sql
-- An identity column that is always generated takes no value in an UPDATE: a row that got another number since is left as it is.
create function journal.undo_check_identity(relation oid) returns bigint
language plpgsql volatile
as $undo_check_identity$
#variable_conflict use_variable
declare
    item  record;
    more  bigint;
    total bigint := 0;
begin
    for item in
        select a.attnum, format('%I is generated always as identity, and an UPDATE gives it no value', a.attname) as theirs
          from pg_attribute a
          join pg_temp.journal_undo u on u.relation = undo_check_identity.relation and a.attnum = any (u.restored)
         where a.attrelid = undo_check_identity.relation and a.attidentity = 'a'
    loop
        execute format('update pg_temp.journal_undo_%s set status = ''conflict'', reason = ''constraint_added'', culprit = $1, theirs = $2
                         where status = ''restore'' and $1 = any (restored)', relation) using item.attnum, item.theirs;
        get diagnostics more = row_count;
        total := total + more;
    end loop;
    return total;
end
$undo_check_identity$;

comment on function journal.undo_check_identity(oid) is 'Turns away rows whose number cannot be put back; returns how many. Private.';

-- sql/journal/rollback/undo_firing.sql
-- The tables of a rollback on which triggers of the user's fire.
create function journal.undo_firing() returns oid[]
language plpgsql stable
as $undo_firing$
begin
    return array(select distinct t.tgrelid
                   from pg_trigger t
                   join pg_temp.journal_undo u on u.relation = t.tgrelid and u.target is not null
                   join pg_proc p on p.oid = t.tgfoid and p.pronamespace <> 'journal'::regnamespace
                  where not t.tgisinternal);
end
$undo_firing$;

comment on function journal.undo_firing() is 'Tables of a rollback with triggers of the user''s. Private.';

-- sql/journal/rollback/undo_fired.sql
-- The tables that sessions wrote in a transaction in which triggers wrote too: only what was done to these can be in what triggers made.
create function journal.undo_fired(session_ids uuid[], step_ids uuid[]) returns oid[]
language sql stable security definer
set search_path = pg_catalog, pg_temp
begin atomic
    with planned as materialized (
        select p.relation, p.transaction_id, p.depth from journal.undo_planned(undo_fired.session_ids, undo_fired.step_ids) p
    )
    select array(select distinct p.relation from planned p
                  where p.depth <= 1 and p.transaction_id in (select x.transaction_id from planned x where x.depth > 1));
end;

comment on function journal.undo_fired(uuid[], uuid[]) is 'Tables that sessions wrote together with triggers. Private.';

-- sql/journal/rollback/undo_leave_to_triggers.sql
-- Rows that triggers had a part in are left to them, and reported, where nobody can say what the triggers would have come to: with skip, if other
-- rows that fire or feel triggers are left alone, and the sessions wrote their tables together with triggers; and always where others wrote them, if others have put a row of the session's back themselves,
-- or an earlier rollback has: then its part in them is put back too, and something else may have made up for that. Returns whether there were any.
create function journal.undo_leave_to_triggers() returns boolean
language plpgsql volatile
as $undo_leave_to_triggers$
declare
    firing constant oid[] := journal.undo_firing();
    skips  constant boolean := (select a.skipping from pg_temp.journal_undo_args a)
                           and exists (select from pg_temp.journal_undo_group g
                                        where g.status = 'conflict'
                                          and (g.by_triggers or g.relation = any (firing)
                                               and g.relation = any ((select journal.undo_fired(a.session_ids, a.step_ids) from pg_temp.journal_undo_args a)::oid[])));
    item   record;
    more   bigint;
    turned boolean := false;
begin
    if not skips and not exists (
            select from pg_temp.journal_undo_group g
             where g.status = 'noop' and g.kind <> 'N' and not g.by_triggers and g.relation = any (firing)
               and (g.kind <> 'U' or not g.changed <@ journal.undo_maintained(g.relation)))
       and not exists (
            select from pg_temp.journal_undo_args a, journal.undo_already(a.session_ids, a.step_ids)
             where exists (select from pg_temp.journal_undo_group g where g.by_triggers)) then
        return false;
    end if;
    for item in select u.relation from pg_temp.journal_undo u where u.target is not null loop
        execute format('update pg_temp.journal_undo_%s u set status = ''conflict'', reason = case when $1 then ''trigger_rewrote'' else ''changed_and_back'' end, culprit = coalesce(u.culprit, u.changed[1])
                         where u.depth <> 1 and u.status in (''remove'', ''restore'', ''reinsert'') and ($1 or u.their_statement is not null)',
                       item.relation)
        using skips;
        get diagnostics more = row_count;
        if more > 0 then
            turned := true;
            perform journal.undo_group(item.relation);
        end if;
    end loop;
    return turned;
end
$undo_leave_to_triggers$;

comment on function journal.undo_leave_to_triggers() is 'Leaves rows to the triggers that keep them, where nobody can say what these would have come to. Private.';

-- sql/journal/rollback/undo_met.sql
-- What others wrote on rows of one table of a rollback: kept, on those that triggers wrote, in the same columns, since a statement; else on those
-- that the sessions wrote themselves, since they did for the first time.
create function journal.undo_met(relation oid, kept boolean, since bigint) returns table (row_key text, statement_id bigint)
language plpgsql stable
as $undo_met$
#variable_conflict use_column
declare
    own_key constant text := 'pg_catalog.format(''%s'', row(' || journal.undo_list(undo_met.relation, 'coalesce(u.a%1$s, u.b%1$s)', ', ', 'key') || '))';
    written constant text := format('pg_temp.journal_undo_%s u where u.status in (''restore'', ''remove'', ''reinsert'') and u.depth %s 1',
                                    undo_met.relation, case when kept then '<>' else '<=' end);
    keys    text[];
begin
    execute format('select array_agg(%s) from %s', own_key, written) into keys;
    if keys is not null then
        return query execute format(
            'select distinct o.row_key, o.statement_id
               from pg_temp.journal_undo_args a
              cross join lateral journal.undo_others(%s, a.session_ids, a.step_ids, $1, $2) o
               join (select *, %s as row_key from %s) u using (row_key)
              where not o.family and case when $3 then o.whole or u.kind <> ''U'' or o.changed && u.changed else o.statement_id > u.first_statement end',
            undo_met.relation, own_key, written)
        using since, keys, kept;
    end if;
end
$undo_met$;

comment on function journal.undo_met(oid, boolean, bigint) is 'What others wrote on rows of a rollback. Private.';

-- sql/journal/rollback/undo_same_transaction.sql
-- Those of some statements that were in one transaction with one of others.
create function journal.undo_same_transaction(statement_ids bigint[], others bigint[]) returns bigint[]
language sql stable security definer
set search_path = pg_catalog, pg_temp
begin atomic
    select pg_catalog.array_agg(s.statement_id)
      from unnest(undo_same_transaction.statement_ids) as k (statement_id)
      join journal.statement s using (statement_id)
     where (s.transaction_id, s.cluster) in (
           select o.transaction_id, o.cluster from unnest(undo_same_transaction.others) as n (statement_id) join journal.statement o using (statement_id));
end;

comment on function journal.undo_same_transaction(bigint[], bigint[]) is 'Statements in one transaction with others. Private.';

-- sql/journal/rollback/undo_leave_entangled.sql
-- Rows that triggers keep are conflicts where others wrote them in a transaction in which they also wrote a row of the session's, after it had:
-- what triggers made of their work there goes when the session's row goes back, and is in what the session found when it came again. No
-- value is right for both. Returns whether there were any.
create function journal.undo_leave_entangled() returns boolean
language plpgsql volatile
as $undo_leave_entangled$
declare
    since  constant bigint := (select min(u.first_statement) - 1 from pg_temp.journal_undo u);
    kept   constant oid[] := array(select u.relation from pg_temp.journal_undo u where u.target is not null and journal.undo_by_triggers(u.relation));
    theirs bigint[] := array(select m.statement_id from unnest(kept) as k (relation) cross join lateral journal.undo_met(k.relation, true, since) m);
    item   oid;
    more   bigint;
    turned boolean := false;
begin
    if theirs <> '{}' then
        theirs := journal.undo_same_transaction(theirs, array(
            select m.statement_id from unnest(journal.undo_firing()) as f (relation) cross join lateral journal.undo_met(f.relation, false, since) m));
    end if;
    if coalesce(theirs, '{}') = '{}' then
        return false;
    end if;
    foreach item in array kept loop
        execute format(
            'update pg_temp.journal_undo_%1$s u set status = ''conflict'', reason = ''changed_since'', forced = false, their_statement = m.statement_id, culprit = coalesce(u.culprit, u.changed[1])
               from (select row_key, max(statement_id) as statement_id from journal.undo_met(%1$s, true, $1) where statement_id = any ($2) group by row_key) m
              where u.depth <> 1 and u.status in (''restore'', ''remove'', ''reinsert'') and pg_catalog.format(''%%s'', row(%2$s)) = m.row_key',
            item, journal.undo_list(item, 'coalesce(u.a%1$s, u.b%1$s)', ', ', 'key'))
        using since, theirs;
        get diagnostics more = row_count;
        if more > 0 then
            turned := true;
            perform journal.undo_group(item);
        end if;
    end loop;
    return turned;
end
$undo_leave_entangled$;

comment on function journal.undo_leave_entangled() is 'Leaves rows that triggers keep where others'' work on rows of the session is in them. Private.';

-- sql/journal/rollback/undo_depend.sql
-- Turns rows away that cannot be undone because of other rows, until nothing changes any more: a row that is left alone
-- may be what another one needs.
create function journal.undo_depend() returns void
language plpgsql volatile
as $undo_depend$
declare
    turned_away bigint;
    found_more  boolean;
    item        record;
begin
    loop
        found_more := false;
        for item in select u.relation, u.moves, u.moves or u.removes as leaves, u.moves or u.reinserts as comes from pg_temp.journal_undo u where u.target is not null order by u.relation loop
            turned_away := case when item.leaves then journal.undo_check_referenced(item.relation) else 0 end + journal.undo_check_referencing(item.relation)
                         + case when item.comes then journal.undo_check_unique(item.relation) + journal.undo_check_unique_index(item.relation) + journal.undo_check_each_other(item.relation) else 0 end
                         + case when item.moves then journal.undo_check_circles(item.relation) else 0 end
                         + journal.undo_check_constraints(item.relation) + journal.undo_check_identity(item.relation);
            if turned_away > 0 then
                found_more := true;
                perform journal.undo_group(item.relation);
            end if;
        end loop;
        exit when not found_more and not journal.undo_leave_to_triggers() and not journal.undo_leave_entangled();
    end loop;
end
$undo_depend$;

comment on function journal.undo_depend() is 'Turns rows of a rollback away that other rows stand in the way of. Private.';

-- sql/journal/rollback/undo_key_places.sql
-- Conditions, one for each constraint over columns of the key alone: live row x has the place that row u of the work table gets back with its key.
create function journal.undo_key_places(relation oid) returns setof text
language plpgsql stable
as $undo_key_places$
#variable_conflict use_variable
begin
    return query
    select journal.undo_key_match(relation, 'u.b%1$s', 'x')
    union
    select p.same
      from journal.unique_columns(relation) i
     cross join lateral (
           select pg_catalog.string_agg(pg_catalog.format('x.%s %s %s', c.name, journal.operator_name(o.operator), journal.undo_value('u.b' || c.attnum, c.as_text, c.live_type)), ' and ')
             from unnest(i.attnums, i.operators) as o (attnum, operator)
             join pg_temp.journal_undo_column c on c.relation = undo_key_places.relation and c.attnum = o.attnum) p (same)
     where i.immediate and i.attnums <@ journal.undo_key_attnums(relation) and (i.exclusion or not i.primary_key);
end
$undo_key_places$;

comment on function journal.undo_key_places(oid) is 'SQL texts: a live row has a place that goes back with a key. Private.';

-- sql/journal/rollback/undo_moves_inline.sql
-- Whether the changed keys of a table go back in the one statement that undoes the rest, and not before it: rows of the rollback
-- refer to them, and until these are undone too, no foreign key would let them go; or with the key they come back to a place in
-- another unique index, which is free only then. Not where others follow by ON UPDATE CASCADE
-- (what followed has to be seen first), where triggers moved them, or where rows stand in each other's way. Nor where a key is left
-- by one row and taken by another: written by one statement, their images have no order that would tell the two apart.
create function journal.undo_moves_inline(relation oid) returns boolean
language plpgsql volatile
as $undo_moves_inline$
#variable_conflict use_variable
declare
    moved    constant int2[] := array(select a from pg_temp.journal_undo u, unnest(u.restored) a where u.relation = undo_moves_inline.relation and a = any (journal.undo_key_attnums(relation)));
    occupied boolean;
begin
    if moved = '{}' then
        return false;
    elsif not exists (select from journal.undo_foreign_keys(relation) f join pg_temp.journal_undo c on c.relation = f.child and c.target is not null
                       where f.parent = undo_moves_inline.relation and f.parent_attnums && moved
                      union all
                      select from journal.unique_columns(relation) i where not i.primary_key and i.attnums && moved
                      union all
                      select from journal.unique_expressions(relation) i where i.attnums && moved)
       or exists (select from journal.undo_foreign_keys(relation) f where f.parent = undo_moves_inline.relation and f.parent_attnums && moved and f.on_update = 'c')
       or exists (select from pg_temp.journal_undo_group g where g.relation = undo_moves_inline.relation and g.by_triggers and g.restored && moved) then
        return false;
    end if;
    execute format('select exists (select from pg_temp.journal_undo_%1$s u join %2$s x on %3$s where u.status = ''restore'' and u.restored && %4$L)
                        or exists (select from pg_temp.journal_undo_%1$s u join pg_temp.journal_undo_%1$s y on %5$s
                                    where u.status = ''restore'' and u.restored && %4$L and y.status = ''reinsert'')',
                   relation, journal.undo_rows(relation), journal.undo_key_match(relation, 'u.b%1$s', 'x'), moved,
                   journal.undo_list(relation, 'y.b%1$s = u.a%1$s', ' and ', 'key')) into occupied;
    if occupied then
        return false;
    end if;
    -- part of a key may be unique too, and its place left by a row that is to move itself
    execute (select format('select %s', string_agg(format('exists (select from pg_temp.journal_undo_%1$s u join %2$s x on %3$s join pg_temp.journal_undo_%1$s y on %4$s'
                                                          ' where u.status = ''restore'' and u.restored && %5$L and y.status = ''restore'' and y.restored && %5$L and y.row_no <> u.row_no)',
                                                          relation, journal.undo_rows(relation), p.same, journal.undo_key_match(relation, 'y.a%1$s', 'x'), moved), ' or '))
               from journal.undo_key_places(relation) as p (same)) into occupied;
    return not occupied;
end
$undo_moves_inline$;

comment on function journal.undo_moves_inline(oid) is 'Whether changed keys go back together with everything else. Private.';

-- sql/journal/rollback/undo_stands_at.sql
-- Under which key a row that is restored stands once the changed keys that go first are back, as a pattern for undo_key_match.
create function journal.undo_stands_at(relation oid) returns text
language plpgsql stable
as $undo_stands_at$
#variable_conflict use_variable
begin
    return (select case when u.inline then 'u.a%1$s' else 'u.b%1$s' end
              from pg_temp.journal_undo u where u.relation = undo_stands_at.relation);
end
$undo_stands_at$;

comment on function journal.undo_stands_at(oid) is 'Under which key a restored row stands while a rollback is applied. Private.';

-- sql/journal/rollback/undo_update.sql
-- The UPDATE that restores the given columns, of the rows that changed these and no others. A row is guarded by the xmin it
-- was judged with, unless it is locked; where the rollback itself may have touched it before (a cascade, a trigger), only the
-- difference is written. Of each row it returns whether what was stored is what was meant.
create function journal.undo_update(relation oid, columns int2[], mine text, barrier text) returns text
language plpgsql stable
as $undo_update$
#variable_conflict use_variable
begin
    return (
        select format('update %1$s t set %2$s from pg_temp.journal_undo_%3$s u where %4$s and %5$s and %8$s operator(pg_catalog.>=) 0'
                      ' and u.restored operator(pg_catalog.=) %6$L::int2[] and %7$s returning %9$s as as_meant',
                      journal.undo_rows(relation),
                      string_agg(format('%s = %s', c.name, journal.undo_value('u.b' || c.attnum, c.as_text, c.live_type)), ', '),
                      relation, mine, journal.undo_key_match(relation, journal.undo_stands_at(relation)), columns,
                      case when (select a.thorough from pg_temp.journal_undo_args a)
                           then format('pg_catalog.record_image_ne(row(%s), row(%s))',
                                       string_agg(journal.undo_live('t', c.name, c.as_text, c.live_type, c.base_type), ', ' order by c.attnum),
                                       string_agg('u.b' || c.attnum, ', ' order by c.attnum))
                           else 't.xmin operator(pg_catalog.=) u.live_xmin' end, barrier,
                      string_agg(format(case when c.image_type in ('boolean', 'smallint', 'integer', 'bigint', 'uuid', 'date', 'timestamp with time zone')
                                         then 'coalesce(%1$s operator(pg_catalog.=) u.b%2$s, %1$s is null and u.b%2$s is null)' else 'pg_catalog.record_image_eq(row(%1$s), row(u.b%2$s))' end,
                                    journal.undo_live('t', c.name, c.as_text, c.live_type, c.base_type), c.attnum), ' and ' order by c.attnum))
          from pg_temp.journal_undo_column c
         where c.relation = undo_update.relation and c.attnum = any (columns)
    );
end
$undo_update$;

comment on function journal.undo_update(oid, int2[], text, text) is 'SQL text that restores the given columns. Private.';

-- sql/journal/rollback/undo_statement_of.sql
-- The statements that one table needs in one phase of a rollback, as text; barrier counts what must run before. Updates come
-- one for each distinct set of columns: a column that a row did not change is not named, for the sake of column privileges
-- and of triggers on columns. Maintained columns are left to their triggers.
create function journal.undo_statement_of(relation oid, phase text, by_triggers boolean, barrier text) returns setof text
language plpgsql volatile
as $undo_statement_of$
#variable_conflict use_variable
declare
    target text := journal.qualified_name(relation);
    rows   text := journal.undo_rows(relation);
    work   text := 'pg_temp.journal_undo_' || relation;
    mine   text := format('u.status operator(pg_catalog.=) %L and %s', phase, case when by_triggers then 'u.depth operator(pg_catalog.>) 1' else 'u.depth operator(pg_catalog.<=) 1' end);
    columns int2[];
begin
    if not exists (select from pg_temp.journal_undo_group g
                    where g.relation = undo_statement_of.relation and g.status = phase and g.by_triggers = undo_statement_of.by_triggers) then
        return;
    end if;
    if phase = 'remove' then
        return next format('delete from %s t using %s u where %s and %s%s returning true as as_meant', rows, work, mine, journal.undo_key_match(relation, 'u.a%1$s'),
                           case when (select u.restored && journal.undo_key_attnums(relation) from pg_temp.journal_undo u where u.relation = undo_statement_of.relation)
                                then ' and not u.moved' else '' end);  -- at its key there is another by now (undo_clear_way)
    elsif phase = 'reinsert' then
        return next format('insert into %1$s (%2$s) overriding system value select %3$s from %4$s u where %5$s and %7$s operator(pg_catalog.>=) 0%6$s order by u.row_no returning false as as_meant',
                           target, journal.undo_list(relation, '%2$s', ', ', 'live'), journal.undo_list(relation, '%6$s', ', ', 'live'), work, mine,
                           case when by_triggers or journal.undo_by_triggers(relation) then format(' and not exists (select from %s t where %s and journal.undo_is_ours(t.xmin))', rows, journal.undo_key_match(relation, 'u.b%1$s')) else '' end, barrier);
    else
        for columns in select distinct g.restored from pg_temp.journal_undo_group g
                        where g.relation = undo_statement_of.relation and g.status = phase and g.by_triggers = undo_statement_of.by_triggers
        loop
            continue when columns = '{}';
            return next journal.undo_update(relation, columns, mine, barrier);
        end loop;
    end if;
end
$undo_statement_of$;

comment on function journal.undo_statement_of(oid, text, boolean, text) is 'The statements of one table in one phase of a rollback. Private.';

-- sql/journal/rollback/undo_park_rows.sql
-- Parks rows, given by their numbers in the work table, at a value of one column. Where the rollback does not restore that column, it is put back with the others.
create function journal.undo_park_rows(relation oid, row_nos bigint[], attnum int2, parking text) returns void
language plpgsql volatile
as $undo_park_rows$
#variable_conflict use_variable
declare
    item    record;
    widened bigint;
begin
    select c.name, c.image_type, c.carried, journal.undo_live('t', c.name, c.as_text, c.live_type, c.base_type) as live, journal.undo_key_match(relation, journal.undo_stands_at(relation)) as here into item
      from pg_temp.journal_undo_column c
     where c.relation = undo_park_rows.relation and c.attnum = undo_park_rows.attnum;
    if not item.carried then
        execute format('alter table pg_temp.journal_undo_%1$s add column a%2$s %3$s, add column b%2$s %3$s', relation, attnum, item.image_type);
        update pg_temp.journal_undo_column c set carried = true where c.relation = undo_park_rows.relation and c.attnum = undo_park_rows.attnum;
    end if;
    execute format('update pg_temp.journal_undo_%1$s u set restored = array(select c from unnest(u.restored || %2$L::int2) c order by c), a%2$s = %3$s, b%2$s = %3$s
                      from %4$s t where u.row_no = any ($1) and %2$s <> all (u.restored) and %5$s',
                   relation, attnum, item.live, journal.undo_rows(relation), item.here) using row_nos;
    get diagnostics widened = row_count;
    if widened > 0 then
        perform journal.undo_group(relation);
    end if;
    perform journal.undo_execute(format('update %s t set %s = %s from pg_temp.journal_undo_%s u where u.row_no operator(pg_catalog.=) any (%L) and %s',
                                        journal.undo_rows(relation), item.name, parking, relation, row_nos, item.here));
end
$undo_park_rows$;

comment on function journal.undo_park_rows(oid, bigint[], int2, text) is 'Parks rows at a value of one column. Private.';

-- sql/journal/rollback/undo_park.sql
-- Unique and exclusion constraints that are not deferrable are checked row by row, so rows that swap their values, or shift
-- them, stand in each other's way inside one UPDATE. Those whose values another row is to get back are parked first.
create function journal.undo_park(relation oid) returns void
language plpgsql volatile
as $undo_park$
#variable_conflict use_variable
declare
    item   record;
    parked bigint[];
begin
    for item in
        select i.name, i.attnums, p.attnum, p.parking, m.would, m.matches
          from journal.unique_columns(relation) i
          join pg_temp.journal_undo u on u.relation = undo_park.relation and u.restored && i.attnums
         cross join lateral journal.undo_parked(relation, i.attnums, i.nulls_distinct, i.empties) p
         cross join lateral (
               select string_agg(format('%s as journal_%s', journal.undo_would_be(relation, o.attnum), o.attnum), ', ') as would,
                      string_agg(format(case when i.nulls_distinct then 'x.%1$s %2$s w.journal_%3$s' else '(x.%1$s %2$s w.journal_%3$s or x.%1$s is null and w.journal_%3$s is null)' end, k.name, journal.operator_name(o.operator), o.attnum), ' and ') as matches
                 from unnest(i.attnums, i.operators) as o (attnum, operator)
                 join pg_temp.journal_undo_column k on k.relation = undo_park.relation and k.attnum = o.attnum) m
         where i.immediate and not i.primary_key
    loop
        execute format(
            'with w as materialized (
                 select u.row_no as journal_row_no, t.tableoid as journal_tableoid, t.ctid as journal_ctid, %3$s
                   from pg_temp.journal_undo_%1$s u join %2$s t on %4$s
                  where u.status = ''restore'' and u.restored && %5$L
             ), taken as materialized (
                 select x.tableoid, x.ctid from w join %2$s x on %6$s
                  where not (x.tableoid = w.journal_tableoid and x.ctid = w.journal_ctid)
             )
             select array_agg(y.journal_row_no) from w y where (y.journal_tableoid, y.journal_ctid) in (select k.tableoid, k.ctid from taken k)',
            relation, journal.undo_rows(relation), item.would,
            journal.undo_key_match(relation, journal.undo_stands_at(relation)), item.attnums, item.matches) into parked;
        if parked is not null then
            perform journal.undo_park_rows(relation, parked, item.attnum, item.parking);
        end if;
    end loop;
end
$undo_park$;

comment on function journal.undo_park(oid) is 'Moves rows out of each other''s way before unique values are put back. Private.';

-- sql/journal/rollback/undo_make_way.sql
-- Partial and expression unique indexes, and exclusion constraints like them, are checked row by row too: of rows that hand a place
-- on, such as a flag that only one may have, the one that has it goes back first, level by level. Who waits for whom (journal_undo_way) is found once for all levels.
-- Rows that come back wait for
-- nobody: they are inserted last. What waits in a circle is parked. Unique columns at which nothing can be parked are handed on like that too. Where a key is part of the place, the row stands where it belongs from here on.
create function journal.undo_make_way(relation oid) returns void
language plpgsql volatile
as $undo_make_way$
#variable_conflict use_variable
declare
    item  record;
    way   text;
    level bigint[];
    left_over bigint;
    waiting   bigint;
    would constant text := journal.undo_rows_as_they_would_be(relation, journal.undo_stands_at(relation));
    key   constant int2[] := journal.undo_key_attnums(relation);
begin
    for item in
        select i.*, s.restoring, s.moving, p.attnum as parked, p.parking
          from journal.unique_expressions(relation, every => true) i
          join pg_temp.journal_undo u on u.relation = undo_make_way.relation and u.restored && i.attnums
         cross join lateral (
               select string_agg(format('%1$s = case when %2$s operator(pg_catalog.=) any (u.restored) then %3$s else t.%1$s end', c.name, c.attnum, journal.undo_value('u.b' || c.attnum, c.as_text, c.live_type)), ', ') as restoring,
                      string_agg(format('a%1$s = case when %1$s = any (u.restored) then u.b%1$s else u.a%1$s end', c.attnum), ', ') filter (where c.attnum = any (key)) as moving,
                      bool_or(c.generated or c.problem is not null or c.image_type is null) as unknown
                 from pg_temp.journal_undo_column c
                where c.relation = undo_make_way.relation and (c.attnum = any (i.attnums) or i.attnums && key and c.attnum = any (key)) and (c.attnum = any (u.restored) or c.generated)) s
          left join lateral journal.undo_parked(relation, i.attnums, i.plain and i.nulls_distinct, i.empties) p on true
         where i.immediate and not i.primary_key and not s.unknown and not (i.plain and p.parking is not null)
    loop
        way := journal.undo_way(relation, item.predicate, item.computed, item.same, would, item.attnums);
        waiting := null;
        loop
            perform journal.undo_drop('journal_undo_way'), journal.undo_catalog_first();
            execute 'create temporary table journal_undo_way on commit drop as ' || way;
            perform journal.undo_as_caller(false);
            level := array(select k.waits_for from pg_temp.journal_undo_way k where k.waits_for is not null except select k.waits from pg_temp.journal_undo_way k);
            left_over := (select count(*) from pg_temp.journal_undo_way);
            exit when level = '{}' or left_over >= waiting;  -- a trigger that puts back what was moved gets its way
            waiting := left_over;
            create index on pg_temp.journal_undo_way (waits_for);
            create index on pg_temp.journal_undo_way (waits);
            analyze pg_temp.journal_undo_way;
            execute format('create index if not exists journal_undo_%1$s_row_no on pg_temp.journal_undo_%1$s (row_no)', relation);
            while level <> '{}' loop
                perform journal.undo_execute(format('update %s t set %s from pg_temp.journal_undo_%s u where u.row_no operator(pg_catalog.=) any (%L) and %s',
                                                    journal.undo_rows(relation), item.restoring, relation, level, journal.undo_key_match(relation, journal.undo_stands_at(relation))));
                if item.moving is not null then
                    execute format('update pg_temp.journal_undo_%s u set %s where u.row_no = any ($1) and u.restored && $2', relation, item.moving) using level, key;
                end if;
                -- those that waited for these and nobody else, as far as anybody waits for them in turn
                level := array(select k.waits from pg_temp.journal_undo_way k
                                where k.waits_for = any (level) and k.alone and exists (select from pg_temp.journal_undo_way n where n.waits_for = k.waits));
            end loop;
        end loop;
        level := array(select distinct k.waits_for from pg_temp.journal_undo_way k where k.waits_for is not null);
        if level <> '{}' and item.parking is not null then
            perform journal.undo_park_rows(relation, level, item.parked, item.parking);
        end if;
    end loop;
end
$undo_make_way$;

comment on function journal.undo_make_way(oid) is 'Lets rows that hand on a place in a partial or expression index go back in order. Private.';

-- sql/journal/rollback/undo_park_keys.sql
-- Parks the rows whose changed keys wait for each other in a circle, and notes in the work table where they are now: at new values of the columns that
-- changed, or of another one of the key where those have none. False where no column has a value to park at, or the key is deferrable and needs none.
create function journal.undo_park_keys(relation oid) returns boolean
language plpgsql volatile
as $undo_park_keys$
#variable_conflict use_variable
declare
    attnums constant int2[] := journal.undo_key_attnums(relation);
    item    record;
begin
    select string_agg(format('%s = %s', k.name, k.parking), ', ') as parked, string_agg(format('%s as now%s', k.live, k.attnum), ', ') as now,
           string_agg(format('a%1$s = parked.now%1$s', k.attnum), ', ') as noted into item
      from (select c.attnum, c.name, p.parking, journal.undo_live('t', c.name, c.as_text, c.live_type, c.base_type) as live,
                   rank() over (order by c.attnum = any (u.restored) desc) as choice
              from pg_temp.journal_undo u
              join pg_temp.journal_undo_column c on c.relation = u.relation and c.key_position is not null
             cross join lateral journal.undo_parking(relation, c.attnum, false, false) as p (parking)
             where u.relation = undo_park_keys.relation and p.parking is not null
               and (c.attnum = any (u.restored) or not exists (select from journal.undo_foreign_keys(u.relation) f where f.parent = u.relation and c.attnum = any (f.parent_attnums) and f.on_update in ('n', 'd')))
               and exists (select from journal.unique_columns(relation) i where i.primary_key and i.immediate)) k
     where k.choice = 1;
    if item.parked is null then
        return false;
    end if;
    perform journal.undo_execute(format(
        'with parked as (update %1$s t set %2$s from pg_temp.journal_undo_%3$s u
                          where u.status operator(pg_catalog.=) ''restore'' and not u.moved and u.restored operator(pg_catalog.&&) %4$L::int2[] and %5$s
                         returning u.row_no, %6$s)
         update pg_temp.journal_undo_%3$s u set %7$s from parked where parked.row_no operator(pg_catalog.=) u.row_no',
        journal.undo_rows(relation), item.parked, relation, attnums, journal.undo_key_match(relation, 'u.a%1$s'), item.now, item.noted));
    return true;
end
$undo_park_keys$;

comment on function journal.undo_park_keys(oid) is 'Parks rows whose changed keys wait for each other. Private.';

-- sql/journal/rollback/undo_clear_way.sql
-- Rows that the rollback removes, that stand under a key which it puts back, and to which nothing refers: they are removed first, so that
-- the key is free and those who follow it can follow.
create function journal.undo_clear_way(relation oid) returns void
language plpgsql volatile
as $undo_clear_way$
#variable_conflict use_variable
declare
    referring text;
    unknown   boolean;
begin
    select string_agg(format(' and not exists (select from %s x where %s)', journal.undo_rows(f.child), journal.undo_refers(f.oid)), ''),
           bool_or(journal.unreadable(f.child) is not null)
      into referring, unknown
      from journal.undo_foreign_keys(relation) f
     where f.parent = undo_clear_way.relation;
    if unknown is not true then
        perform journal.undo_execute(format(
            'with gone as (delete from %1$s t using pg_temp.journal_undo_%2$s y where y.status operator(pg_catalog.=) ''remove'' and y.depth operator(pg_catalog.<=) 1 and %3$s'
            ' and exists (select from pg_temp.journal_undo_%2$s u where u.status operator(pg_catalog.=) ''restore'' and not u.moved and u.restored operator(pg_catalog.&&) %4$L::int2[] and %5$s)%6$s returning y.row_no)'
            ' update pg_temp.journal_undo_%2$s u set moved = true from gone where gone.row_no operator(pg_catalog.=) u.row_no',
            journal.undo_rows(relation), relation, journal.undo_key_match(relation, 'y.a%1$s'), journal.undo_key_attnums(relation),
            journal.undo_list(relation, 'u.b%1$s operator(pg_catalog.=) y.a%1$s', ' and ', 'key'), referring));
    end if;
end
$undo_clear_way$;

comment on function journal.undo_clear_way(oid) is 'Removes rows that stand in the way of keys, where nothing refers to them. Private.';

-- sql/journal/rollback/undo_apply_keys.sql
-- Puts changed keys back, in place, so that children follow. Each pass moves the rows whose old key is free by now, under every constraint over columns of the key. What stands there and
-- is to be removed goes first, if nothing refers to it; rows
-- that wait for each other in a circle are parked at keys that nobody has. Where there is no such key, it is left to the
-- database, which refuses unless the key is deferrable. False: some keys will be free only when other rows are removed.
create function journal.undo_apply_keys(relation oid, final boolean) returns boolean
language plpgsql volatile
as $undo_apply_keys$
#variable_conflict use_variable
declare
    target  text := journal.undo_rows(relation);
    attnums int2[] := journal.undo_key_attnums(relation);
    here    text := journal.undo_key_match(relation, 'u.a%1$s');
    there   text := journal.undo_key_match(relation, 'u.b%1$s', 'x');
    waits   text := 'u.status operator(pg_catalog.=) ''restore'' and not u.moved and u.restored operator(pg_catalog.&&) ' || quote_literal(attnums) || '::int2[]';
    move    text;  -- with what follows it: names of the user's may look like patterns, so nothing is formatted twice
    done    text;
    pending bigint;
    moving  constant boolean := (select u.restored && attnums from pg_temp.journal_undo u where u.relation = undo_apply_keys.relation);
    waiting bigint := -1;
    parked  integer := 0;
    cleared boolean := false;
    free    text;
    blocked text;  -- whether somebody is in the way who is not to move too
    stuck   boolean := true;
begin
    if not moving then
        return true;
    end if;
    done := format(' returning u.row_no) update pg_temp.journal_undo_%s u set moved = true from moved where moved.row_no operator(pg_catalog.=) u.row_no', relation);
    move := format('with moved as (update %1$s t set %2$s from pg_temp.journal_undo_%3$s u where %4$s and %5$s',
                   target, (select string_agg(format('%s = %s', c.name, journal.undo_value('u.b' || c.attnum, c.as_text, c.live_type)), ', ')
                              from pg_temp.journal_undo_column c join pg_attribute a on a.attrelid = c.relation and a.attnum = c.attnum
                             where c.relation = undo_apply_keys.relation and c.attnum = any (attnums) and a.attidentity <> 'a'),
                   relation, waits, here);
    free := (select string_agg(format(' and not exists (select from %s x where %s and not (x.tableoid operator(pg_catalog.=) t.tableoid and x.ctid operator(pg_catalog.=) t.ctid))', target, p.same), '')
               from journal.undo_key_places(relation) as p (same));
    if exists (select from journal.unique_columns(relation) i where i.primary_key and not i.immediate) then
        blocked := format('select exists (select from pg_temp.journal_undo_%1$s u join %2$s x on %3$s where %4$s and not exists (select from pg_temp.journal_undo_%1$s y where %5$s and %6$s))',
                          relation, target, there, waits, replace(waits, 'u.', 'y.'), journal.undo_key_match(relation, 'y.a%1$s', 'x'));
    end if;
    loop
        execute format('select count(*) from pg_temp.journal_undo_%s u join %s t on %s where %s', relation, target, here, waits)
           into pending;
        exit when pending = 0;
        if blocked is not null then
            execute blocked into stuck;
            if not stuck then
                perform journal.undo_execute(move || done);
                exit;
            end if;
        end if;
        if pending = waiting and not cleared and (select u.removes from pg_temp.journal_undo u where u.relation = undo_apply_keys.relation) then
            cleared := true;
            perform journal.undo_clear_way(relation);
        elsif pending = waiting then
            parked := parked + 1;
            if parked > 1 and not final then
                return false;
            elsif parked > 1 or not journal.undo_park_keys(relation) then
                perform journal.undo_execute(move || done);
                exit;
            end if;
        end if;
        perform journal.undo_execute(move || free || done);
        waiting := pending;
    end loop;
    return true;
end
$undo_apply_keys$;

comment on function journal.undo_apply_keys(oid, boolean) is 'Puts the changed keys of one table back; false where some have to wait. Private.';

-- sql/journal/rollback/undo_release.sql
-- Rows of the rollback that refer to a key which goes back before they do hold it: no foreign key lets it go. Where the reference may be null they let go of it
-- until their own turn comes. Tried only when it did not go without.
create function journal.undo_release(relation oid) returns void
language plpgsql volatile
as $undo_release$
#variable_conflict use_variable
declare
    item record;
begin
    for item in
        select f.child, f.parent_attnums, journal.undo_refers(f.oid) as refers, c.attnums, c.emptied
          from journal.undo_foreign_keys(relation) f
          join pg_temp.journal_undo p on p.relation = f.parent and p.restored && f.parent_attnums and not p.inline
          join pg_temp.journal_undo u on u.relation = f.child and u.target is not null and u.restored && f.child_attnums
          join pg_constraint x on x.oid = f.oid and x.confmatchtype = 's'
         cross join lateral (
               select array_agg(c.attnum) as attnums, string_agg(format('%1$s = case when %2$s operator(pg_catalog.=) any (u.restored) then null else x.%1$s end', c.name, c.attnum), ', ') as emptied
                 from pg_temp.journal_undo_column c
                where c.relation = f.child and c.attnum = any (f.child_attnums) and c.attnum = any (u.restored) and not c.not_null and not c.generated and c.key_position is null
                  and not exists (select from journal.undo_foreign_keys(f.child) g where g.parent = f.child and c.attnum = any (g.parent_attnums) and g.on_update not in ('a', 'r'))) c
         where f.parent = undo_release.relation and f.on_update in ('a', 'r') and c.emptied is not null
    loop
        perform journal.undo_execute(format(
            'update %1$s x set %2$s from pg_temp.journal_undo_%3$s u, %4$s t, pg_temp.journal_undo_%5$s y'
            ' where u.status operator(pg_catalog.=) ''restore'' and u.restored operator(pg_catalog.&&) %6$L::int2[] and %7$s and %8$s'
            ' and y.status operator(pg_catalog.=) ''restore'' and y.restored operator(pg_catalog.&&) %9$L::int2[] and %10$s',
            journal.undo_rows(item.child), item.emptied, item.child, journal.undo_rows(relation), relation, item.attnums,
            journal.undo_key_match(item.child, 'u.a%1$s', 'x'), item.refers, item.parent_attnums, journal.undo_key_match(relation, 'y.a%1$s')));
    end loop;
end
$undo_release$;

comment on function journal.undo_release(oid) is 'Lets go of keys that are put back before what refers to them. Private.';

-- sql/journal/rollback/undo_follow.sql
-- Where the rollback put a parent's key back, cascades have moved its children. Children that are to be removed or restored and
-- whose own key followed are looked for under their new key from here on. moved: the tables whose keys have been put back.
create function journal.undo_follow(relation oid, moved oid[]) returns void
language plpgsql volatile
as $undo_follow$
#variable_conflict use_variable
declare
    item record;
begin
    for item in
        select f.parent, f.parent_attnums, f.child_part,
               string_agg(format('a%1$s = p.b%2$s::%3$s, b%1$s = case when u.kind = ''U'' then p.b%2$s::%3$s end', k.child, k.parent, c.image_type), ', ') as now,
               string_agg(format('u.a%s = p.a%s', k.child, k.parent), ' and ') as matches
          from journal.undo_foreign_keys(relation) f
          join pg_temp.journal_undo u on u.relation = f.parent and u.restored && f.parent_attnums
         cross join lateral unnest(f.child_attnums, f.parent_attnums) as k (child, parent)
          join pg_temp.journal_undo_column c on c.relation = f.child and c.attnum = k.child
         where f.on_update = 'c' and f.parent = any (moved) and f.parent_attnums <@ journal.undo_key_attnums(f.parent) and f.child = undo_follow.relation and f.child_attnums <@ journal.undo_key_attnums(relation)
         group by f.oid, f.parent, f.parent_attnums, f.child_part
    loop
        execute format('update pg_temp.journal_undo_%1$s u set %2$s from pg_temp.journal_undo_%3$s p
                         where (u.status = ''remove'' or u.status = ''restore'' and not u.restored && %4$L) and p.status = ''restore'' and p.restored && %5$L and %6$s and %7$s',
                       relation, item.now, item.parent, journal.undo_key_attnums(relation), item.parent_attnums, item.matches,
                       journal.undo_lands_in(item.child_part, relation, 'u.a%1$s'));
    end loop;
end
$undo_follow$;

comment on function journal.undo_follow(oid, oid[]) is 'Follows rows whose key followed the key of a parent. Private.';

-- sql/journal/rollback/undo_widen.sql
-- Foreign keys of several columns of which a plan restores some and not all, in rows whose parent's key it puts back too: ON UPDATE
-- takes the columns along that are to stay as well, and until they are back the row may point at nothing. They are written with the others.
create function journal.undo_widen(relation oid) returns void
language plpgsql volatile
as $undo_widen$
#variable_conflict use_variable
declare
    item    record;
    widened boolean := false;
begin
    for item in
        select f.child_attnums, array_agg(c.attnum) as whole,
               string_agg(format('%3$s%1$s = case when %1$s = any (u.restored) then u.%3$s%1$s else %2$s end', c.attnum, journal.undo_live('t', c.name, c.as_text, c.live_type, c.base_type), side), ', ') as kept
          from journal.undo_foreign_keys(relation) f
          join pg_temp.journal_undo p on p.relation = f.parent and p.restored && f.parent_attnums
          join pg_temp.journal_undo_column c on c.relation = f.child and c.attnum = any (f.child_attnums) and c.carried and c.problem is null and not c.generated and c.key_position is null
         cross join unnest('{b,a}'::text[]) side
         where f.on_update not in ('a', 'r') and f.child = undo_widen.relation
           and exists (select from pg_temp.journal_undo_group g
                        where g.relation = f.child and g.status = 'restore' and g.restored && f.child_attnums and not f.child_attnums <@ g.restored)
         group by f.oid, f.child_attnums
    loop
        execute format('update pg_temp.journal_undo_%1$s u set restored = array(select distinct c from unnest(u.restored || %2$L::int2[]) c order by c), %3$s
                          from %4$s t
                         where u.status = ''restore'' and u.restored && %5$L and not %2$L::int2[] <@ u.restored and %6$s',
                       relation, item.whole, item.kept, journal.undo_rows(relation), item.child_attnums, journal.undo_key_match(relation, 'u.a%1$s'));
        widened := true;
    end loop;
    if widened then
        perform journal.undo_group(relation);
    end if;
end
$undo_widen$;

comment on function journal.undo_widen(oid) is 'Has foreign keys restored whole while their parents are put back. Private.';

-- sql/journal/rollback/undo_apply_rows.sql
-- The one statement that removes, restores and inserts again, over all tables. Its parts are put in order by counts that
-- the next part reads: unreferenced parts would run in no order one may rely on. Of the rows that it wrote, as_meant counts those
-- that the database is known to have stored as they were meant to be (undo_statement_of).
create function journal.undo_apply_rows(by_triggers boolean, phases text[] default '{remove,restore,reinsert}', out written bigint, out as_meant bigint)
language plpgsql volatile
as $undo_apply_rows$
declare
    names      text[] := '{}';
    parts      text[] := '{}';
    item       record;
    barrier    text := '0';
    phase      text;
begin
    foreach phase in array phases loop
        for item in
            select p.statement from pg_temp.journal_undo u
             cross join lateral journal.undo_statement_of(u.relation, phase, by_triggers, barrier) as p (statement)
             where u.target is not null order by u.relation
        loop
            names := names || format('part%s', cardinality(names) + 1);
            parts := parts || format('%s as (%s)', names[cardinality(names)], item.statement);
        end loop;
        barrier := coalesce((select string_agg(format('(select pg_catalog.count(*) from %s)', n), ' operator(pg_catalog.+) ') from unnest(names) n), '0');
    end loop;
    written := 0;
    as_meant := 0;
    if names <> '{}' then
        perform journal.undo_as_caller(true);
        execute format('with %s select pg_catalog.count(*), pg_catalog.count(*) filter (where as_meant) from (%s) part',
                       array_to_string(parts, ', '), (select string_agg('select as_meant from ' || n, ' union all ') from unnest(names) n))
           into written, as_meant;
        perform journal.undo_as_caller(false);
    end if;
end
$undo_apply_rows$;

comment on function journal.undo_apply_rows(boolean, text[]) is 'Removes, restores and inserts the rows of a plan in one statement; returns how many, and of how many it is known that they are as meant. Private.';

-- sql/journal/rollback/undo_stirs_triggers.sql
-- Whether writing the tables of a plan may make triggers of the user's write them too.
create function journal.undo_stirs_triggers() returns boolean
language plpgsql stable
as $undo_stirs_triggers$
begin
    return exists (select from pg_temp.journal_undo_group g where g.by_triggers)
        or exists (select from pg_temp.journal_undo u
                     join pg_trigger t on t.tgrelid = u.relation and not t.tgisinternal and t.tgenabled in ('O', 'A') and t.tgtype & 66 = 0
                     join pg_proc p on p.oid = t.tgfoid and p.pronamespace <> 'journal'::regnamespace);
end
$undo_stirs_triggers$;

comment on function journal.undo_stirs_triggers() is 'Whether a rollback may make triggers write the tables that it writes. Private.';

-- sql/journal/rollback/undo_is_ours.sql
-- Whether a row version that is visible here was written by this transaction: any other's that is visible has ended. The ids
-- of its subtransactions follow its own; what is older, or looks so far ahead that it is from before a wraparound, is not ours.
create function journal.undo_is_ours(xmin xid) returns boolean
language plpgsql volatile cost 1000
set search_path = pg_catalog, pg_temp
as $undo_is_ours$
#variable_conflict use_variable
declare
    top   constant bigint := pg_current_xact_id()::text;
    ahead constant bigint := (xmin::text::bigint - (top & 4294967295) + 4294967296) & 4294967295;
begin
    return ahead < 16777216 and pg_xact_status((top + ahead)::text::xid8) = 'in progress';
exception when invalid_parameter_value then  -- an id that nobody has had yet
    return false;
end
$undo_is_ours$;

comment on function journal.undo_is_ours(xid) is 'Whether this transaction wrote a visible row version. Private.';

-- sql/journal/rollback/undo_without_parts.sql
-- SQL text: none of the rows that refer to row u, and whose triggers may write it, is left as it is.
create function journal.undo_without_parts(relation oid) returns text
language plpgsql stable
as $undo_without_parts$
begin
    return coalesce((
        select string_agg(format(' and not exists (select from pg_temp.journal_undo_%s z where z.status operator(pg_catalog.=) ''conflict'' and %s)', f.child, c.same), '')
          from journal.undo_foreign_keys(undo_without_parts.relation) f
         cross join lateral (
               select string_agg(format('pg_catalog.format(''%%s'', z.b%s) operator(pg_catalog.=) pg_catalog.format(''%%s'', u.b%s)', k.child, k.parent), ' and ') as same,
                      bool_and(exists (select from pg_temp.journal_undo_column x where x.relation = f.child and x.attnum = k.child and x.carried)
                               and exists (select from pg_temp.journal_undo_column x where x.relation = f.parent and x.attnum = k.parent and x.carried)) as known
                 from unnest(f.child_attnums, f.parent_attnums) as k (child, parent)) c
         where f.parent = undo_without_parts.relation and c.known and f.child = any (journal.undo_firing())
           and exists (select from pg_temp.journal_undo_group g where g.relation = f.child and g.status = 'conflict')), '');
end
$undo_without_parts$;

comment on function journal.undo_without_parts(oid) is 'SQL text: no part of a row is left. Private.';

-- sql/journal/rollback/undo_correct.sql
-- What the rollback put back fires the user's triggers, and they may write rows that it put back too: parts that return are
-- added to the total of a whole that already has it. Once the triggers have run, what is not as meant is corrected: only the
-- difference is written, and only to rows that are this transaction's by now: nobody else's row is met here. Not where a part is left: then the
-- whole as it was would be wrong, and it is found not to be as meant.
create function journal.undo_correct(relation oid) returns void
language plpgsql volatile
as $undo_correct$
#variable_conflict use_variable
declare
    rows   constant text := journal.undo_rows(relation);
    item   record;
begin
    if exists (select from pg_temp.journal_undo u where u.relation = undo_correct.relation and u.removes) then
        perform journal.undo_execute(format(
            'delete from %1$s t using pg_temp.journal_undo_%2$s u where u.status operator(pg_catalog.=) ''remove'' and %3$s and journal.undo_is_ours(t.xmin)'
            ' and not exists (select from pg_temp.journal_undo_%2$s z where z.status operator(pg_catalog.=) any (''{restore,reinsert}'') and %4$s)',
            rows, relation, journal.undo_key_match(relation, 'u.a%1$s'), journal.undo_key_match(relation, 'coalesce(z.b%1$s, z.a%1$s)')));
    end if;
    for item in
        select g.status, g.restored, string_agg(format('%s = %s', c.name, journal.undo_value('u.b' || c.attnum, c.as_text, c.live_type)), ', ') as assigned,
               string_agg(journal.undo_live('t', c.name, c.as_text, c.live_type, c.base_type), ', ' order by c.attnum) as live,
               string_agg('u.b' || c.attnum, ', ' order by c.attnum) as meant
          from (select distinct g.status, g.restored from pg_temp.journal_undo_group g
                 where g.relation = undo_correct.relation and g.status in ('restore', 'reinsert')) g
          join pg_temp.journal_undo_column c on c.relation = undo_correct.relation
          join pg_attribute a on a.attrelid = c.relation and a.attnum = c.attnum
         where c.image_type is not null and c.problem is null and not c.generated and c.key_position is null and a.attidentity <> 'a'
           and c.attnum <> all (journal.undo_maintained(relation)) and (g.status = 'reinsert' or c.attnum = any (g.restored))
         group by g.status, g.restored
    loop
        perform journal.undo_execute(format(
            'update %s t set %s from pg_temp.journal_undo_%s u where u.status operator(pg_catalog.=) %L and %s and %s and pg_catalog.record_image_ne(row(%s), row(%s)) and journal.undo_is_ours(t.xmin)%s',
            rows, item.assigned, relation, item.status, case when item.status = 'restore' then format('u.restored operator(pg_catalog.=) %L::int2[]', item.restored) else 'true' end,
            journal.undo_key_match(relation, 'coalesce(u.b%1$s, u.a%1$s)'), item.live, item.meant, journal.undo_without_parts(relation)));
    end loop;
end
$undo_correct$;

comment on function journal.undo_correct(oid) is 'Corrects what triggers made of the rows that a rollback put back. Private.';

-- sql/journal/rollback/undo_writes_alone.sql
-- Whether nothing but the rollback's own statements can have written what a plan wrote: no trigger or rule that is not the
-- journal's, no row security (its policies may call anything), no foreign key that takes rows along, no constraint that calls a
-- volatile function. To be asked after they wrote: by then their locks keep all of that as it is.
create function journal.undo_writes_alone() returns boolean
language plpgsql stable
as $undo_writes_alone$
declare
    written constant oid[] := array(select u.relation from pg_temp.journal_undo u where u.target is not null
                                    union select p.relid::oid from pg_temp.journal_undo u, pg_partition_tree(u.relation::regclass) p where u.target is not null);
begin
    return not exists (select from pg_class c where c.oid = any (written) and (c.relhasrules or c.relrowsecurity))
       and not exists (select from pg_trigger t join pg_proc p on p.oid = t.tgfoid
                        where t.tgrelid = any (written) and not t.tgisinternal and t.tgenabled <> 'D' and p.pronamespace <> 'journal'::regnamespace)
       and not exists (select from pg_constraint f
                        where f.contype = 'f' and f.confrelid = any (written) and (f.confdeltype not in ('a', 'r') or f.confupdtype not in ('a', 'r'))
                          and exists (select from pg_temp.journal_undo u where u.removes or u.restored && f.confkey))
       and not exists (select from pg_constraint x
                         join pg_depend d on d.classid = 'pg_constraint'::regclass and d.objid = x.oid and d.refclassid = 'pg_proc'::regclass
                         join pg_proc p on p.oid = d.refobjid and p.provolatile = 'v'
                        where x.contype = 'c' and (x.conrelid = any (written) or x.contypid <> 0));
end
$undo_writes_alone$;

comment on function journal.undo_writes_alone() is 'Whether nothing but the rollback can have written the tables of a plan. Private.';

-- sql/journal/rollback/undo_apply.sql
-- Applies a plan. Changed keys first, in statements of their own, where they need not go with the rest (inline); rows that swap unique values are
-- parked. Then everything that the sessions did themselves, in one
-- statement: foreign keys are checked at its end, so the order of tables does not matter. Keys that
-- only then are free come next, with the rest of their rows. Then what triggers did for them
-- (depth above 1): by now the triggers have mostly undone it, and only the difference is written. Not complete: fewer rows were
-- written than planned, so somebody was there in between. Verified: each row was written once, came back from that as it was meant,
-- and nothing else can have written it.
create function journal.undo_apply(out complete boolean, out verified boolean)
language plpgsql volatile
as $undo_apply$
declare
    item     record;
    planned  constant bigint := (select sum(g.rows) from pg_temp.journal_undo_group g
                                  where g.status in ('remove', 'reinsert') or g.status = 'restore' and cardinality(g.restored) > 0);
    written  bigint;
    as_meant bigint;
    moved    oid[] := '{}';
    late     oid[] := '{}';
    thorough constant boolean := (select a.thorough from pg_temp.journal_undo_args a);
begin
    if thorough then  -- otherwise no key and no unique value changes (undo_moves)
        update pg_temp.journal_undo u set inline = journal.undo_moves_inline(u.relation) where u.target is not null;
        perform journal.undo_widen(u.relation) from pg_temp.journal_undo u where u.target is not null;
        if (select a.releasing from pg_temp.journal_undo_args a) then
            perform journal.undo_release(u.relation) from pg_temp.journal_undo u where u.target is not null;
        end if;
        for item in select u.relation, u.inline from pg_temp.journal_undo u where u.target is not null order by u.relation loop
            if item.inline or journal.undo_apply_keys(item.relation, false) then
                moved := moved || item.relation;
            else
                late := late || item.relation;
            end if;
            perform journal.undo_park(item.relation), journal.undo_make_way(item.relation);
        end loop;
        for item in select u.relation from pg_temp.journal_undo u where u.target is not null order by u.relation loop
            perform journal.undo_follow(item.relation, moved);
        end loop;
    end if;
    select * into written, as_meant from journal.undo_apply_rows(false);
    complete := thorough or written is not distinct from coalesce(planned, 0);
    if not complete then
        return;
    end if;
    if late <> '{}' then
        perform journal.undo_apply_keys(l.relation, true) from unnest(late) as l (relation);
        perform journal.undo_follow(u.relation, late) from pg_temp.journal_undo u where u.target is not null;
        perform journal.undo_apply_rows(false, '{restore}');
    end if;
    perform journal.undo_apply_rows(true);
    if journal.undo_stirs_triggers() then
        perform journal.undo_correct(u.relation) from pg_temp.journal_undo u where u.target is not null;
    end if;
    verified := not thorough and journal.undo_writes_alone()
            and as_meant = (select sum(g.rows) from pg_temp.journal_undo_group g where g.status in ('remove', 'restore', 'reinsert'));
end
$undo_apply$;

comment on function journal.undo_apply() is 'Applies the plan in the work tables: whether completely, and whether that verified it too. Private.';

-- sql/journal/rollback/undo_settle.sql
-- Deferred constraints of the touched tables are checked now, by name, so that a violation is found here and not at the
-- caller's COMMIT; then they are deferred again. Those that are immediate unless the caller deferred them are checked in a
-- subtransaction that is aborted: that alone gives the caller's setting back, which cannot be read. Constraints of other tables,
-- with the caller's own pending work, are left.
create function journal.undo_settle() returns void
language plpgsql volatile
as $undo_settle$
declare
    deferred  text;  -- unless the caller set them immediate; constraint triggers may write, and what they write has to stay
    immediate text;
begin
    select string_agg(distinct format('%I.%I', n.nspname, x.conname), ', ') filter (where x.condeferred or x.contype = 't'),
           string_agg(distinct format('%I.%I', n.nspname, x.conname), ', ') filter (where not x.condeferred and x.contype <> 't')
      into deferred, immediate
      from pg_catalog.pg_constraint x
      join pg_catalog.pg_namespace n on n.oid = x.connamespace
      join pg_temp.journal_undo u on u.relation in (x.conrelid, x.confrelid, pg_catalog.pg_partition_root(x.conrelid), pg_catalog.pg_partition_root(x.confrelid))
     where x.condeferrable;
    if deferred is not null then
        perform journal.undo_execute('set constraints ' || deferred || ' immediate');
        select string_agg(distinct format('%I.%I', n.nspname, x.conname), ', ')
          into deferred
          from pg_catalog.pg_constraint x
          join pg_catalog.pg_namespace n on n.oid = x.connamespace
          join pg_temp.journal_undo u on u.relation in (x.conrelid, x.confrelid, pg_catalog.pg_partition_root(x.conrelid), pg_catalog.pg_partition_root(x.confrelid))
         where x.condeferred;
        if deferred is not null then
            execute 'set constraints ' || deferred || ' deferred';
        end if;
    end if;
    if immediate is not null then
        begin
            perform journal.undo_execute('set constraints ' || immediate || ' immediate');
            raise exception using errcode = 'JR997';
        exception when sqlstate 'JR997' then
            null;
        end;
    end if;
end
$undo_settle$;

comment on function journal.undo_settle() is 'Checks the deferred constraints of the touched tables. Private.';

-- sql/journal/rollback/undo_verify.sql
-- Verifies, in a later statement than those that wrote, that what is stored is what was meant: BEFORE and AFTER triggers
-- may have had other ideas. Not needed where undo_apply could tell. Rows that are not as meant become conflicts (trigger_rewrote); returns how many. At the
-- key of a removed row another one may be back by now.
create function journal.undo_verify() returns bigint
language plpgsql volatile
as $undo_verify$
declare
    item  record;
    more  bigint;
    total bigint := 0;
begin
    for item in select u.relation, u.removes and (u.reinserts or u.restored && journal.undo_key_attnums(u.relation)) as replaces
                  from pg_temp.journal_undo u where u.target is not null order by u.relation loop
        execute format($verify$
            update pg_temp.journal_undo_%1$s u
               set status = 'conflict', reason = 'trigger_rewrote', culprit = v.culprit
              from (select u.row_no, u.status, t.ctid is not null%5$s as there, case when t.ctid is not null then %2$s end as culprit
                      from pg_temp.journal_undo_%1$s u
                      left join %3$s t on %4$s
                     where u.status in ('remove', 'restore', 'reinsert')
                    offset 0) v
             where v.row_no = u.row_no and (v.culprit is not null and v.status <> 'remove' or v.there = (v.status = 'remove'))$verify$,
            item.relation, journal.undo_differing(item.relation, 'u.b%s', '(u.kind <> ''U'' or %s = any (u.changed || u.restored))'),
            journal.undo_rows(item.relation), journal.undo_key_match(item.relation, 'coalesce(u.b%1$s, u.a%1$s)'),
            -- what stands under the key of a removed row may be another one that the rollback has put there
            case when item.replaces then format(' and not (u.status = ''remove'' and exists (select from pg_temp.journal_undo_%s z where z.status in (''restore'', ''reinsert'') and z.row_no <> u.row_no and %s))',
                                                item.relation, journal.undo_list(item.relation, 'z.b%1$s = u.a%1$s', ' and ', 'key')) else '' end);
        get diagnostics more = row_count;
        total := total + more;
    end loop;
    return total;
end
$undo_verify$;

comment on function journal.undo_verify() is 'Compares what a rollback stored with what it meant; returns how many rows differ. Private.';

-- sql/journal/rollback/undo_attempt.sql
-- Applies the plan in a subtransaction and verifies it. What does not come out as meant is rolled back and handed back:
-- marks for rows that a trigger rewrote (they become conflicts, and the rest may be tried again), or the one constraint
-- or error that stopped it, which no row can be blamed for. JR998: rows changed meanwhile.
create function journal.undo_attempt(out marks jsonb, out failure jsonb)
language plpgsql volatile
as $undo_attempt$
declare
    applied record;
    item  record;
    part  jsonb;
    state text; constraint_name text; schema_name text; table_name text; message text; reason text;
begin
    select * into applied from journal.undo_apply();
    if not applied.complete then
        raise exception using errcode = 'JR998', message = 'rows changed while the rollback planned';
    end if;
    perform journal.undo_progress('verifying');
    perform journal.undo_settle();
    -- what was empty could not be probed before
    update pg_temp.journal_undo u set maintained = journal.undo_probe(u.relation) where u.target is not null and u.reinserts and u.maintained = '{}';
    if applied.verified is not true and journal.undo_verify() > 0 then
        marks := '[]';
        for item in select u.relation from pg_temp.journal_undo u where u.target is not null loop
            execute format('select coalesce(jsonb_agg(jsonb_build_object(''relation'', %1$s, ''row_no'', row_no, ''culprit'', culprit)), ''[]'')
                              from pg_temp.journal_undo_%1$s where reason = ''trigger_rewrote''', item.relation) into part;
            marks := marks || part;
        end loop;
        raise exception using errcode = 'JR999';
    end if;
exception
    when sqlstate 'JR999' then
        perform journal.undo_as_caller(false);
    when integrity_constraint_violation or data_exception or insufficient_privilege or raise_exception or triggered_action_exception or feature_not_supported then
        get stacked diagnostics state = returned_sqlstate, constraint_name = constraint_name, schema_name = schema_name, table_name = table_name, message = message_text;
        if state = '22023' then  -- a fault of ours, not of the data
            raise;
        end if;
        perform journal.undo_as_caller(false);
        reason := case when state = '23505' then 'unique_taken' when state = '23P01' then 'exclusion_taken' when state in ('23503', '23001') then 'referenced_since'
                       when state = '42501' then 'no_privilege' when state in ('23514', '23502') then 'constraint_added'
                       when state like '22%' then 'retyped' else 'trigger_rewrote' end;
        -- what stands in the way is said in the words of the trigger, or of the server, where no constraint says it
        failure := jsonb_build_object(
            'table', case when table_name <> '' then format('%I.%I', schema_name, table_name) end, 'key', null, 'column', null, 'base', null, 'ours', null,
            'theirs', case when constraint_name = '' then message end, 'their', null, 'forced', false, 'constraint', nullif(constraint_name, ''), 'reason', reason, 'also', '[]'::jsonb);
end
$undo_attempt$;

comment on function journal.undo_attempt() is 'Applies and verifies a plan, or leaves no trace of it. Private.';

-- sql/journal/rollback/undo_carry_out.sql
-- Tries the plan until it holds: with skip, rows that a trigger rewrote are left alone and the rest is tried again; where keys do not come free, rows of the
-- rollback that hold them let go of them first. Returns what stopped it for good, or null.
create function journal.undo_carry_out(on_conflict text) returns jsonb
language plpgsql volatile
as $undo_carry_out$
#variable_conflict use_variable
declare
    attempt record;
    mark    record;
    held    jsonb;  -- what stopped it before anything was let go of
begin
    loop
        select * into attempt from journal.undo_attempt();
        if attempt.failure ->> 'reason' = 'referenced_since' and held is null
           and exists (select from pg_temp.journal_undo u where u.target is not null and u.restored && journal.undo_key_attnums(u.relation)) then
            held := attempt.failure;
            update pg_temp.journal_undo_args set releasing = true;
            continue;
        end if;
        exit when attempt.failure is not null or attempt.marks is null;
        for mark in select * from jsonb_to_recordset(attempt.marks) as m (relation oid, row_no bigint, culprit int2) loop
            execute format('update pg_temp.journal_undo_%s set status = ''conflict'', reason = ''trigger_rewrote'', culprit = $1 where row_no = $2', mark.relation)
              using mark.culprit, mark.row_no;
        end loop;
        perform journal.undo_group(m.relation) from (select distinct m.relation from jsonb_to_recordset(attempt.marks) as m (relation oid)) m;
        perform journal.undo_depend();
        exit when on_conflict = 'refuse';
    end loop;
    return case when attempt.failure is not null then coalesce(held, attempt.failure) end;
end
$undo_carry_out$;

comment on function journal.undo_carry_out(text) is 'Applies a plan, leaving out what triggers would not let stand. Private.';

-- sql/journal/rollback/undo_add.sql
-- Adds counts per status, and keeps their total.
create function journal.undo_add(counts jsonb, more jsonb) returns jsonb
language sql immutable
begin atomic
    select counts || coalesce(pg_catalog.jsonb_object_agg(m.key, coalesce((counts ->> m.key)::bigint, 0) + m.value::bigint), '{}')
           || pg_catalog.jsonb_build_object('total', (counts ->> 'total')::bigint + coalesce(pg_catalog.sum(m.value::bigint), 0))
      from pg_catalog.jsonb_each_text(more) m;
end;

comment on function journal.undo_add(jsonb, jsonb) is 'Adds counts per status. Private.';

-- sql/journal/rollback/undo_notes.sql
-- What a rollback does not take back and nobody has to do anything about, or only has to refresh: sequences that numbered rows
-- which it removes, and materialized views that read its tables, through views too.
create function journal.undo_notes() returns jsonb
language plpgsql volatile
as $undo_notes$
begin
    return (
        with recursive touched as (
            select distinct g.relation, g.status from pg_temp.journal_undo_group g where g.status in ('remove', 'restore', 'reinsert')
        ), reader as (
            select distinct r.ev_class as relation
              from touched t
              join pg_catalog.pg_depend d on d.refclassid = 'pg_catalog.pg_class'::regclass and d.refobjid = t.relation and d.classid = 'pg_catalog.pg_rewrite'::regclass
              join pg_catalog.pg_rewrite r on r.oid = d.objid
            union
            select r.ev_class
              from reader v
              join pg_catalog.pg_depend d on d.refclassid = 'pg_catalog.pg_class'::regclass and d.refobjid = v.relation and d.classid = 'pg_catalog.pg_rewrite'::regclass
              join pg_catalog.pg_rewrite r on r.oid = d.objid
        ), sequence as (
            select s.oid
              from touched t
              join pg_catalog.pg_attrdef a on a.adrelid = t.relation
              join pg_catalog.pg_depend d on d.classid = 'pg_catalog.pg_attrdef'::regclass and d.objid = a.oid and d.refclassid = 'pg_catalog.pg_class'::regclass
              join pg_catalog.pg_class s on s.oid = d.refobjid and s.relkind = 'S'
             where t.status = 'remove'
            union
            select s.oid
              from touched t
              join pg_catalog.pg_depend d on d.classid = 'pg_catalog.pg_class'::regclass and d.refclassid = 'pg_catalog.pg_class'::regclass and d.refobjid = t.relation and d.deptype = 'i'
              join pg_catalog.pg_class s on s.oid = d.objid and s.relkind = 'S'
             where t.status = 'remove'
        ), note as (
            select 'sequence' as kind, journal.qualified_name(s.oid) as name, 'numbers that were drawn stay drawn' as reason from sequence s
            union all
            select 'materialized_view', journal.qualified_name(c.oid), 'refresh it if it was refreshed since the session'
              from reader v join pg_catalog.pg_class c on c.oid = v.relation and c.relkind = 'm'
        )
        select coalesce(jsonb_agg(jsonb_build_object('kind', n.kind, 'name', n.name, 'reason', n.reason) order by n.kind, n.name), '[]') from note n);
end
$undo_notes$;

comment on function journal.undo_notes() is 'Sequences and materialized views that a rollback leaves as they are. Private.';

-- sql/journal/rollback/undo_counts.sql
-- Rows and changes of a plan per status, whole and per table, as the report shows them. What was taken back before is a noop,
-- each change a row.
create function journal.undo_counts() returns jsonb
language plpgsql volatile
as $undo_counts$
declare
    item    record;
    tables  jsonb := '[]';
    counts  jsonb;
    zero    constant jsonb := '{"total": 0, "restore": 0, "remove": 0, "reinsert": 0, "adjust": 0, "noop": 0, "force": 0, "conflict": 0, "refuse": 0}';
    rows    jsonb := zero;
    changes jsonb := zero;
begin
    for item in
        select relation, coalesce(u.table_name, a.table_name) as table_name, u.images, u.target, u.table_name is not null as concerned,
               case u.obstacle when 'audit_only' then 'conflict' else 'refuse' end as status,
               case when a.images > 0 then jsonb_build_object('noop', a.images) else '{}' end as already
          from pg_temp.journal_undo u
          full join (select a.* from pg_temp.journal_undo_args g, journal.undo_already(g.session_ids, g.step_ids) a) a using (relation)
         order by 2
    loop
        if not item.concerned then
            counts := '{"rows": {}, "changes": {}, "columns": []}';
        elsif item.target is null then
            counts := jsonb_build_object('rows', jsonb_build_object(item.status, item.images), 'changes', jsonb_build_object(item.status, item.images), 'columns', '[]'::jsonb);
        else
            select jsonb_build_object(
                       'rows', coalesce(jsonb_object_agg(s.status, s.rows), '{}'), 'changes', coalesce(jsonb_object_agg(s.status, s.changes), '{}'),
                       'columns', (select coalesce(jsonb_agg(distinct c.name), '[]') from pg_temp.journal_undo_group g, unnest(g.changed) a
                                     join pg_temp.journal_undo_column c on c.relation = item.relation and c.attnum = a where g.relation = item.relation))
              into counts
              from (select case when g.forced and g.status not in ('conflict', 'refuse') then 'force' when g.status = 'restore' and g.restored && journal.undo_counters(item.relation) then 'adjust' else g.status end as status, sum(g.rows) as rows, sum(g.changes) as changes
                      from pg_temp.journal_undo_group g where g.relation = item.relation group by 1) s;
        end if;
        rows := journal.undo_add(journal.undo_add(rows, counts -> 'rows'), item.already);
        changes := journal.undo_add(journal.undo_add(changes, counts -> 'changes'), item.already);
        tables := tables || jsonb_build_object('table', item.table_name, 'rows', journal.undo_add(journal.undo_add('{"total": 0}', counts -> 'rows'), item.already), 'columns', counts -> 'columns',
                                               'maintained', (select coalesce(jsonb_agg(c.name), '[]') from unnest(journal.undo_maintained(item.relation)) as m (attnum)
                                                               join pg_temp.journal_undo_column c on c.relation = item.relation and c.attnum = m.attnum));
    end loop;
    return jsonb_build_object('rows', rows, 'changes', changes, 'tables', tables, 'notes', journal.undo_notes());
end
$undo_counts$;

comment on function journal.undo_counts() is 'Rows and changes of a plan per status. Private.';

-- sql/journal/rollback/undo_digest.sql
-- The digest of a plan. What the sessions changed is immutable, so the plan is told by how many rows get their usual status,
-- and by the rows that get another, one by one, whatever order the sessions are named or found in. Later work of others that does not change the plan does not change the digest.
create function journal.undo_digest() returns text
language plpgsql volatile
as $undo_digest$
declare
    item  record;
    part  text;
    exceptions numeric;
    whole text := (select format('%s|%s', array(select s from unnest(a.session_ids) s order by s), array(select s from unnest(a.step_ids) s order by s))
                     from pg_temp.journal_undo_args a);
begin
    for item in select u.relation, u.table_name, u.target, u.maintained from pg_temp.journal_undo u order by u.relation loop
        part := (select string_agg(format('%s:%s:%s', g.kind, g.status, g.rows), ',' order by g.kind, g.status)
                   from (select g.kind, g.status, sum(g.rows) as rows from pg_temp.journal_undo_group g where g.relation = item.relation group by 1, 2) g);
        if exists (select from pg_temp.journal_undo_group g where g.relation = item.relation and (g.kind, g.status) not in (('U', 'restore'), ('I', 'remove'), ('D', 'reinsert'), ('N', 'noop'))) then
            execute format($digest$
                select sum(hashtextextended(format('%%s', row(u.kind, u.status, u.reason, u.culprit, u.constraint_name, %1$s)), 0))
                  from pg_temp.journal_undo_%2$s u
                 where (kind, status) not in (('U', 'restore'), ('I', 'remove'), ('D', 'reinsert'), ('N', 'noop'))$digest$,
                journal.undo_list(item.relation, 'u.b%1$s, u.a%1$s', ', ', 'key'), item.relation)
               into exceptions;
            part := part || ':' || exceptions;
        end if;
        whole := format(E'%s\n%s|%s|%s', whole, item.table_name, item.maintained, part);
    end loop;
    return 'sha256:' || encode(sha256(convert_to(whole, 'utf8')), 'hex');
end
$undo_digest$;

comment on function journal.undo_digest() is 'Digest of the plan in the work tables. Private.';

-- sql/journal/rollback/undo_also.sql
-- SQL text: of row u (its live row is t) what is in conflict besides its culprit, as a JSON list: each column with its values before the session, as
-- the session left it, and now.
create function journal.undo_also(relation oid) returns text
language plpgsql stable
as $undo_also$
#variable_conflict use_variable
begin
    return (
        select coalesce('(select coalesce(jsonb_agg(x.of_column order by x.attnum), ''[]'') from (values ' || string_agg(pg_catalog.format(
                '(%1$s::int2, case when u.live and (%1$s = any (u.broken) or %1$s = any (u.meddled) or u.kind <> ''D'' and (u.kind = ''I'' or %1$s = any (u.changed)) and %2$s)'
                ' then jsonb_build_object(''column'', %3$L, ''base'', case when u.b%1$s is not null then pg_catalog.format(''%%s'', u.b%1$s) end,'
                ' ''ours'', case when u.a%1$s is not null then pg_catalog.format(''%%s'', u.a%1$s) end, ''theirs'', case when t.%4$s is distinct from null then pg_catalog.format(''%%s'', t.%4$s) end) end)',
                c.attnum, journal.differs(journal.undo_live('t', c.name, c.as_text, c.live_type, c.base_type), 'u.a' || c.attnum, c.image_type), c.name, c.name), ', ')
            || ') as x (attnum, of_column) where x.of_column is not null and x.attnum is distinct from u.culprit)', '''[]''::jsonb')
          from pg_temp.journal_undo_column c
          join pg_temp.journal_undo u using (relation)
         where c.relation = undo_also.relation and c.carried and c.problem is null and not c.maintained and c.attnum <> all (u.maintained) and c.key_position is null
    );
end
$undo_also$;

comment on function journal.undo_also(oid) is 'SQL text: what else of a row is in conflict. Private.';

-- sql/journal/rollback/undo_conflicts.sql
-- The rows that a rollback leaves or refuses, with base, ours, theirs and who: at most so many per table. One column is named first, the others
-- with theirs under also. With forced, the rows that it overwrites; to be asked before it does.
create function journal.undo_conflicts(shown integer, forced boolean) returns jsonb
language plpgsql volatile
as $undo_conflicts$
declare
    item record;
    part jsonb;
    all_of_them jsonb := '[]';
begin
    for item in select u.relation, u.table_name, u.target, u.obstacle, u.first_statement from pg_temp.journal_undo u order by u.table_name loop
        continue when item.target is null and forced;
        if item.target is null then
            all_of_them := all_of_them || jsonb_build_object('table', item.table_name, 'key', null, 'column', null, 'reason', replace(replace(item.obstacle, 'audit_only', 'coverage_gap'), 'key_changed', 'table_recreated'),
                                                             'base', null, 'ours', null, 'theirs', journal.undo_obstacle(item.obstacle, item.table_name), 'constraint', null, 'forced', false, 'their', null, 'also', '[]'::jsonb);
            continue;
        end if;
        continue when not exists (select from pg_temp.journal_undo_group g where g.relation = item.relation
                                     and case when undo_conflicts.forced then g.forced and g.status not in ('conflict', 'refuse') else g.status in ('conflict', 'refuse') end);
        execute format($conflicts$
            with conflict as materialized (
                select u.*, %2$s as row_key, pg_catalog.jsonb_build_object(%3$s) as key, c.name as column_name,
                       case when not c.hidden then case u.culprit %4$s end end as base, case when not c.hidden then case u.culprit %5$s end end as ours, case when u.live then case u.culprit %6$s end end as live_value, %12$s as also
                  from pg_temp.journal_undo_%1$s u
                  left join %7$s t on %8$s
                  left join pg_temp.journal_undo_column c on c.relation = %1$s and c.attnum = u.culprit
                 where case when %11$L then u.forced and u.status not in ('conflict', 'refuse') else u.status in ('conflict', 'refuse') end
                 order by u.row_no
                 limit $1
            ), other as materialized (
                select o.* from journal.undo_last_statements(%1$s, array(select c.row_key from conflict c), %9$s) o
            ), theirs as materialized (
                select r.relation, l.row_key, l.statement_id
                  from (select c.their_relation as relation, array_agg(distinct c.their_key) as keys from conflict c
                         where c.their_statement is null and c.their_key is not null group by c.their_relation) r
                 cross join lateral journal.undo_last_statements(r.relation, r.keys) l
            )
            select coalesce(jsonb_agg(jsonb_build_object(
                       'table', %10$L, 'key', c.key, 'column', c.column_name, 'reason', c.reason, 'base', c.base, 'ours', c.ours,
                       'theirs', coalesce(c.theirs, c.live_value), 'constraint', c.constraint_name, 'forced', %11$L::boolean, 'also', c.also,
                       'their', case when c.reason not in ('no_privilege', 'column_dropped', 'retyped', 'trigger_rewrote', 'constraint_added', 'unjournaled_writer')
                                     then journal.undo_their(coalesce(c.their_statement, l.statement_id, o.statement_id)) end) order by c.row_no), '[]')
              from conflict c
              left join other o using (row_key)
              left join theirs l on l.relation = c.their_relation and l.row_key = c.their_key$conflicts$,
            item.relation,
            'pg_catalog.format(''%s'', row(' || journal.undo_list(item.relation, 'coalesce(u.a%1$s, u.b%1$s)', ', ', 'key') || '))',
            (select string_agg(format('%L, pg_catalog.format(''%%s'', coalesce(u.a%s, u.b%2$s))', c.name, c.attnum), ', ' order by c.key_position)
               from pg_temp.journal_undo_column c where c.relation = item.relation and c.key_position is not null),
            journal.undo_list(item.relation, 'when %1$s then case when u.b%1$s is not null then pg_catalog.format(''%%s'', u.b%1$s) end', ' '),
            journal.undo_list(item.relation, 'when %1$s then case when u.a%1$s is not null then pg_catalog.format(''%%s'', u.a%1$s) end', ' '),
            coalesce(nullif(journal.undo_list(item.relation, 'when %1$s then case when t.%2$s is distinct from null then pg_catalog.format(''%%s'', t.%2$s) end', ' ', 'live'), ''), 'when 0 then null'),
            journal.undo_rows(item.relation), journal.undo_key_match(item.relation, 'coalesce(u.a%1$s, u.b%1$s)'), item.first_statement, item.table_name, forced, journal.undo_also(item.relation))
           into part using shown;
        all_of_them := all_of_them || part;
    end loop;
    return all_of_them;
end
$undo_conflicts$;

comment on function journal.undo_conflicts(integer, boolean) is 'The conflicts of a plan, as the report shows them. Private.';

-- sql/journal/rollback/undo_agents_of.sql
-- The agent sessions that statements belong to; statements of nobody and of rollbacks belong to none.
create function journal.undo_agents_of(statement_ids bigint[]) returns setof uuid
language sql stable security definer
set search_path = pg_catalog, pg_temp
begin atomic
    select distinct s.session_id
      from journal.undo_bound(undo_agents_of.statement_ids) b
      join journal.session s on s.session_id = b.session_id and s.kind = 'agent';
end;

comment on function journal.undo_agents_of(bigint[]) is 'The agent sessions of statements. Private.';

-- sql/journal/rollback/undo_built_on.sql
-- The agent sessions that stand in the way of the plan in the work tables.
create function journal.undo_built_on() returns setof uuid
language plpgsql volatile
as $undo_built_on$
declare
    item       record;
    statements bigint[];
begin
    for item in select u.relation, u.first_statement from pg_temp.journal_undo u where u.target is not null order by u.relation loop
        execute format($built_on$
            with conflict as materialized (
                select u.*, %2$s as row_key from pg_temp.journal_undo_%1$s u
                 where u.status = 'conflict' and u.reason in ('changed_since', 'changed_and_back', 'deleted_since', 'key_reused', 'referenced_since', 'unique_taken', 'exclusion_taken')
            )
            select array(
                select c.their_statement from conflict c where c.their_statement is not null
                union
                select o.statement_id from journal.undo_last_statements(%1$s, array(select c.row_key from conflict c where c.their_key is null), $1) o
                union
                select l.statement_id
                  from (select c.their_relation as relation, array_agg(distinct c.their_key) as keys from conflict c where c.their_key is not null group by c.their_relation) r
                 cross join lateral journal.undo_last_statements(r.relation, r.keys) l)$built_on$,
            item.relation, 'pg_catalog.format(''%s'', row(' || journal.undo_list(item.relation, 'coalesce(u.a%1$s, u.b%1$s)', ', ', 'key') || '))')
           into statements using item.first_statement;
        return query select s from journal.undo_agents_of(statements) s;
    end loop;
end
$undo_built_on$;

comment on function journal.undo_built_on() is 'The agent sessions that stand in the way of a plan. Private.';

-- sql/journal/rollback/undo_unknown_steps.sql
-- Steps that a rollback is to take back and that are none of its sessions: as text, null where all are known.
create function journal.undo_unknown_steps(session_ids uuid[], step_ids uuid[]) returns text
language sql stable security definer
set search_path = pg_catalog, pg_temp
begin atomic
    select pg_catalog.string_agg(k.step_id::text, ', ')
      from unnest(undo_unknown_steps.step_ids) as k (step_id)
     where not exists (select from journal.step s join journal.undo_members(undo_unknown_steps.session_ids, true) m on m.session_id = s.session_id
                        where s.step_id = k.step_id);
end;

comment on function journal.undo_unknown_steps(uuid[], uuid[]) is 'Steps that belong to none of the sessions, or null. Private.';

-- sql/journal/rollback/undo_admit.sql
-- What must hold before a rollback looks at anything: known sessions, an isolation level that sees the sessions' last
-- commits, and sessions that can bind no more (they may still have a step in flight: the fence waits for that).
create function journal.undo_admit(session_ids uuid[], step_ids uuid[], on_conflict text, mode text) returns void
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $undo_admit$
declare
    missing text;
begin
    if on_conflict not in ('refuse', 'skip', 'cascade', 'force') then
        raise exception using errcode = '22023', message = format('on_conflict is refuse, skip, cascade or force, not %L', on_conflict);
    elsif mode not in ('plan', 'dry_run', 'rehearse', 'apply') then
        raise exception using errcode = '22023', message = format('mode is plan, dry_run, rehearse or apply, not %L', mode);
    elsif current_setting('transaction_isolation') <> 'read committed' then
        raise exception using
            errcode = 'JR035', message = 'a rollback runs under READ COMMITTED only: an older snapshot would miss the last commits of the session',
            hint = 'set transaction isolation level read committed', detail = '{"reasons": ["isolation"]}';
    elsif nullif(current_setting('journal.session', true), '') is not null then
        raise exception using errcode = 'JR006', message = 'the transaction is bound to a session, and a rollback is a session of its own',
            hint = 'commit first';
    end if;
    select string_agg(s.session_id::text, ', ') into missing
      from unnest(session_ids) as s (session_id)
     where not exists (select from journal.undo_members(session_ids, false) m where m.session_id = s.session_id);
    if missing is not null or coalesce(cardinality(session_ids), 0) = 0 then
        raise exception using errcode = 'JR009', message = format('there is no session %s', coalesce(missing, 'to roll back')),
            hint = 'journal sessions lists them';
    end if;
    missing := journal.undo_unknown_steps(session_ids, step_ids);
    if missing is not null then
        raise exception using errcode = 'JR013', message = format('the session has no step %s', missing),
            hint = 'journal.steps lists them, by session_id';
    end if;
end
$undo_admit$;

comment on function journal.undo_admit(uuid[], uuid[], text, text) is 'Raises where a rollback may not begin. Private.';

-- sql/journal/rollback/undo_fence.sql
-- The fence: takes the session rows, so that no step of theirs is in flight and none can begin. With final, the locks are
-- raised so that the sealer passes the sessions' messages by; by then others may wait for the rollback, and it does not wait
-- for them (undo_lock_first). Sessions that could still bind are refused: their rollback
-- would wait behind ever new steps.
create function journal.undo_fence(session_ids uuid[], whole boolean, final boolean, deadline timestamptz) returns void
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
as $undo_fence$
declare
    open_session uuid;
begin
    select s.session_id into open_session from journal.sessions s
     where s.session_id = any (session_ids) and s.status in ('open', 'abandoned') limit 1;
    if whole and open_session is not null then
        raise exception using
            errcode = 'JR037', message = format('session %s is open', open_session),
            hint = 'stop it first, in a transaction of its own: journal.stop_session, or journal stop --session', detail = '{"blockers": []}';
    end if;
    loop
        begin
            perform set_config('lock_timeout', case when final then '1ms' else journal.undo_patience(clock_timestamp(), deadline) end, true);
            if final then
                perform from journal.session s where s.session_id = any (session_ids) order by s.session_id for update;
            else
                perform from journal.session s where s.session_id = any (session_ids) order by s.session_id for no key update;
            end if;
            return;
        exception when lock_not_available or deadlock_detected then
            perform journal.undo_busy(deadline, array['journal.session'::regclass::oid]);
        end;
    end loop;
end
$undo_fence$;

comment on function journal.undo_fence(uuid[], boolean, boolean, timestamptz) is
    'Waits until no step of the sessions is in flight and keeps it so; raises RollbackBusy. Private.';

-- sql/journal/rollback/undo_enter.sql
-- A rollback is a session: what it writes is journaled under its own id and can be rolled back.
create function journal.undo_enter(reason text) returns uuid
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
as $undo_enter$
declare
    rollback_id constant uuid := outbox.uuid7();
begin
    insert into journal.session (session_id, kind, agent, task, status, closed_at, db_user, db_role, application_name)
    values (rollback_id, 'rollback', session_user, undo_enter.reason, 'closed', clock_timestamp(), session_user, journal.caller(),
            current_setting('application_name'));
    perform journal.set_binding(rollback_id, null);
    return rollback_id;
end
$undo_enter$;

comment on function journal.undo_enter(text) is 'Opens the session of a rollback and binds the transaction to it. Private.';

-- sql/journal/rollback/undo_leave.sql
-- The transaction belongs to nobody again: what a caller writes after a rollback is not part of it.
create function journal.undo_leave() returns void
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
as $undo_leave$
begin
    perform journal.set_binding(null, null);
    perform set_config('journal.session', '', true);
end
$undo_leave$;

comment on function journal.undo_leave() is 'Unbinds the transaction after a rollback. Private.';

-- sql/journal/rollback/undo_head.sql
-- The part of a report that is known before anything is read: where, who, what.
create function journal.undo_head(session_ids uuid[], step_ids uuid[], cascaded uuid[], on_conflict text, mode text, reason text) returns jsonb
language sql volatile
as $undo_head$
    select jsonb_build_object(
        'schema', 'journal.rollback/1', 'mode', mode, 'outcome', null, 'exit_code', null, 'committed', false,
        'database', jsonb_build_object('host', host(inet_server_addr()), 'name', current_database(), 'user', session_user),
        'rollback_id', null, 'reason', reason, 'on_conflict', on_conflict, 'plan_digest', null, 'started_at', journal.utc(clock_timestamp()), 'finished_at', null,
        'sessions', (select jsonb_agg(jsonb_build_object('session_id', m.session_id, 'agent', m.agent, 'task', m.task, 'why', case when m.why = 'named' and m.session_id = any (cascaded) then 'cascade' else m.why end, 'status_before', m.status_before, 'reversed_before', m.reversed_before)
                                      order by m.opened_at, m.session_id)
                       from journal.undo_members(session_ids || cascaded, step_ids is null) m),
        'steps', to_jsonb(step_ids), 'conflicts', '[]'::jsonb, 'conflicts_shown', 0, 'messages', jsonb_build_object('cancel', 0, 'compensate', 0, 'sent', 0),
        'keys_reversed', null, 'receipts_reversed', null, 'notes', '[]'::jsonb, 'residue', '[]'::jsonb, 'residue_shown', 0, 'redo', null)
$undo_head$;

comment on function journal.undo_head(uuid[], uuid[], uuid[], text, text, text) is 'The head of a rollback report. Private.';

-- sql/journal/rollback/undo_progress.sql
-- Progress of a long rollback, as notices, for clients that asked for it with journal.progress = on.
create function journal.undo_progress(phase text) returns void
language plpgsql volatile
as $undo_progress$
begin
    if current_setting('journal.progress', true) = 'on' then
        raise notice using message = 'journal: ' || phase;
    end if;
end
$undo_progress$;

comment on function journal.undo_progress(text) is 'Tells a client that asked for it what a rollback is doing. Private.';

-- sql/journal/rollback/undo_by_triggers.sql
-- Whether triggers did part of what a session did to a table.
create function journal.undo_by_triggers(relation oid) returns boolean
language plpgsql stable
as $undo_by_triggers$
declare
    too boolean := false;
begin
    if to_regclass('pg_temp.journal_fold_' || relation) is not null then
        execute format('select exists (select from pg_temp.%I f where f.depth = 0)', 'journal_fold_' || relation) into too;
    end if;
    return too or exists (select from pg_temp.journal_undo_group g where g.relation = undo_by_triggers.relation and g.by_triggers);
end
$undo_by_triggers$;

comment on function journal.undo_by_triggers(oid) is 'Whether triggers did part of the work on a table under rollback. Private.';

-- sql/journal/rollback/undo_force.sql
-- With force, what others changed is overwritten: rows that the sessions updated get their old values back, rows that they
-- inserted are removed, whoever wrote them since. It goes no further: deleted rows stay deleted, a reused key or value stays
-- whose it is, and rows of others that depend on ours are never touched; nor are rows that triggers keep (depth above 1): a total
-- that counts the work of others too has no old value that is right; nor is one that the session met twice, not knowing it again,
-- because others had moved it to another key and back. Those remain conflicts, and refuse the rollback. Where a
-- column was dropped since, the rest of the row is undone. The report lists one value that is lost of each row, so a row that
-- would lose more than one with its columns is left to refuse.
create function journal.undo_force(relation oid) returns void
language plpgsql volatile
as $undo_force$
#variable_conflict use_variable
declare
    dropped constant int2[] := array(select c.attnum from pg_temp.journal_undo_column c where c.relation = undo_force.relation and c.carried and c.problem = 'column_dropped');
    losses  constant text := coalesce((select string_agg(format('case when %1$s = any (changed) or kind = ''D'' and b%1$s is not null then 1 else 0 end', d), ' + ') from unnest(dropped) d), '0');
begin
    if not exists (select from pg_temp.journal_undo_group g where g.relation = undo_force.relation and g.status in ('conflict', 'refuse')) then
        return;
    end if;
    execute format($force$
        update pg_temp.journal_undo_%1$s u
           set status = case kind when 'U' then 'restore' when 'I' then 'remove' else 'reinsert' end, forced = true,
               restored = array(select c from unnest(restored) c where c <> all (%2$L::int2[]))
         where status = 'conflict' and kind in ('U', 'I') and live and depth = 1 and reason in ('changed_since', 'changed_and_back', 'unjournaled_writer') and %3$s = 0
               and not (kind = 'U' and exists (select from pg_temp.journal_undo_%1$s y where y.row_no <> u.row_no and y.kind = 'U' and y.live and %4$s))
            or status = 'refuse' and reason = 'column_dropped' and %3$s = 1$force$, relation, dropped, losses,
        journal.undo_list(relation, 'y.a%1$s = u.a%1$s', ' and ', 'key'));
    perform journal.undo_group(relation);
end
$undo_force$;

comment on function journal.undo_force(oid) is 'Overrules conflicts over changed values and dropped columns. Private.';

-- sql/journal/rollback/undo_prepare.sql
-- Plans: work tables, probes, the status of every row, and locks unless only a plan is asked for. False: rows changed while
-- it planned, and it must plan again. Where keys or unique values change or triggers did part of the work, all rows are locked:
-- then other statements of the rollback itself may touch them, and their xmin guards nothing.
create function journal.undo_prepare(session_ids uuid[], step_ids uuid[], on_conflict text, locking boolean, thorough boolean) returns boolean
language plpgsql volatile
as $undo_prepare$
declare
    item     record;
    stirring boolean := thorough;
begin
    perform journal.undo_progress('reading what the session changed');
    perform journal.undo_begin(session_ids, step_ids);
    for item in select u.relation from pg_temp.journal_undo u where u.target is not null order by u.relation loop
        if on_conflict = 'force' then
            perform journal.undo_force(item.relation);
        end if;
        perform journal.undo_check_coverage(item.relation, session_ids, step_ids), journal.undo_check_privileges(item.relation);
        stirring := stirring or journal.undo_by_triggers(item.relation);
    end loop;
    update pg_temp.journal_undo u set moves = true where u.target is not null and journal.undo_moves(u.relation);
    stirring := stirring or found;
    update pg_temp.journal_undo_args set thorough = stirring, skipping = undo_prepare.on_conflict = 'skip';
    if locking then
        perform journal.undo_progress('locking rows');
        if not journal.undo_lock(stirring) then
            return false;
        end if;
    end if;
    perform journal.undo_progress('checking what depends on them');
    perform journal.undo_depend();
    return true;
end
$undo_prepare$;

comment on function journal.undo_prepare(uuid[], uuid[], text, boolean, boolean) is 'Plans a rollback in work tables; false: plan again. Private.';

-- sql/journal/rollback/undo_check_plan.sql
-- Refuses a plan that is not the one that was shown, or is larger than allowed.
create function journal.undo_check_plan(report jsonb, expected_digest text, max_rows bigint, executing boolean) returns void
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $undo_check_plan$
declare
    rows constant bigint := (report #>> '{rows,total}')::bigint;
begin
    if expected_digest is not null and expected_digest <> report ->> 'plan_digest' then
        raise exception using
            errcode = 'JR036', message = 'the plan is no longer the one that was shown: rows have changed since; nothing was changed',
            hint = 'look at the plan again, and pass its digest', detail = jsonb_build_object('plan', report);
    elsif executing and rows > max_rows then
        raise exception using
            errcode = 'JR038', message = format('the plan has %s rows, more than the %s allowed; nothing changed', rows, max_rows),
            hint = 'raise max_rows (--max-rows) if that is meant', detail = jsonb_build_object('plan', report, 'rows', rows, 'max_rows', max_rows);
    end if;
end
$undo_check_plan$;

comment on function journal.undo_check_plan(jsonb, text, bigint, boolean) is 'Raises PlanChanged or TooManyRows. Private.';

-- sql/journal/rollback/undo_may_proceed.sql
-- Whether a plan may be carried out: nothing refused, and no conflicts unless they are to be skipped.
create function journal.undo_may_proceed(report jsonb, on_conflict text) returns boolean
language sql immutable
begin atomic
    select (report #>> '{rows,refuse}')::bigint = 0 and (on_conflict = 'skip' or (report #>> '{rows,conflict}')::bigint = 0);
end;

comment on function journal.undo_may_proceed(jsonb, text) is 'Whether a plan may be carried out. Private.';

-- sql/journal/rollback/undo_untouched.sql
-- The steps that a rollback leaves whole: rows that they changed are left as they are, and nothing of theirs is taken back. For what was done outside of
-- steps: the session, and the transactions. Known are the tables that are left as a whole, and the statements of rows that stay and that are taken
-- back. What triggers wrote follows from the rows that they fired for, which decide.
create function journal.undo_untouched(session_ids uuid[], step_ids uuid[], tables oid[], stayed bigint[], taken bigint[], out steps uuid[], out transactions xid8[])
language sql stable security definer
set search_path = pg_catalog, pg_temp
begin atomic
    with told (statement_id, taken) as materialized (
        select x, false from pg_catalog.unnest(undo_untouched.stayed) x
        union all select x, true from pg_catalog.unnest(undo_untouched.taken) x
        union all select x.statement_id, false from journal.undo_statements(undo_untouched.session_ids, undo_untouched.step_ids) x
                   where x.relation = any (undo_untouched.tables)
    ), touched as (
        select b.session_id, b.step_id, b.transaction_id, t.taken, b.depth <= 1 as directly
          from told t
          join journal.undo_bound(array(select distinct t.statement_id from told t)) b using (statement_id)
    ), work as (
        select coalesce(t.step_id, t.session_id) as step_id, case when t.step_id is null then t.transaction_id end as transaction_id,
               pg_catalog.bool_or(t.taken and t.directly) or pg_catalog.bool_or(t.taken) and not pg_catalog.bool_or(t.directly) as taken
          from touched t
         group by 1, 2
    )
    select array(select w.step_id from work w group by w.step_id having not pg_catalog.bool_or(w.taken)),
           array(select w.transaction_id from work w where w.transaction_id is not null group by w.transaction_id having not pg_catalog.bool_or(w.taken));
end;

comment on function journal.undo_untouched(uuid[], uuid[], oid[], bigint[], bigint[]) is 'The steps of which a rollback takes nothing back. Private.';

-- sql/journal/rollback/undo_each_change.sql
-- SQL text: each change of a table by itself, also of rows that a session touched more than once: its statement_id, the row_key that tells it from others
-- of its statement, and the status of its row.
create function journal.undo_each_change(relation oid) returns text
language plpgsql stable
as $undo_each_change$
#variable_conflict use_variable
declare
    row_key constant text := journal.undo_image_key(relation);
begin
    return format('select u.first_statement as statement_id, coalesce(u.image_key, %2$s) as row_key, u.status from pg_temp.journal_undo_%1$s u where u.xmins is null', relation, row_key)
           || case when to_regclass('pg_temp.journal_image_' || relation) is not null then format(
                   ' union all select u.statement_id, %2$s, w.status from pg_temp.journal_image_%1$s u join pg_temp.journal_undo_%1$s w on w.row_no = u.identity'
                   ' where u.images > 1 and not u.standing', relation, row_key) else '' end;
end
$undo_each_change$;

comment on function journal.undo_each_change(oid) is 'SQL text: each change of a table, with the status of its row. Private.';

-- sql/journal/rollback/undo_left_whole.sql
-- The steps, and transactions outside of steps, of which a rollback takes nothing back since it leaves the rows that they changed: none unless
-- it may leave any. Rows with nothing to do decide nothing.
create function journal.undo_left_whole(out steps uuid[], out transactions xid8[])
language plpgsql volatile
as $undo_left_whole$
declare
    item   record;
    found  record;
    tables constant oid[] := array(select u.relation from pg_temp.journal_undo u where u.target is null);
    stayed bigint[] := '{}';
    taken  bigint[] := '{}';
begin
    steps := '{}';
    transactions := '{}';
    if not (select a.skipping from pg_temp.journal_undo_args a)
       or tables = '{}' and not exists (select from pg_temp.journal_undo_group g where g.status = 'conflict') then
        return;
    end if;
    for item in select u.relation from pg_temp.journal_undo u where u.target is not null loop
        execute format('select array_agg(distinct c.statement_id) filter (where c.status = ''conflict'') as stayed,
                               array_agg(distinct c.statement_id) filter (where c.status not in (''conflict'', ''noop'')) as taken
                          from (%s) c', journal.undo_each_change(item.relation))
           into found;
        stayed := stayed || found.stayed;
        taken := taken || found.taken;
    end loop;
    select u.* into steps, transactions
      from pg_temp.journal_undo_args a, journal.undo_untouched(a.session_ids, a.step_ids, tables, stayed, taken) u;
end
$undo_left_whole$;

comment on function journal.undo_left_whole() is 'The steps of which a rollback takes nothing back. Private.';

-- sql/journal/rollback/undo_externals.sql
-- External effects cannot be taken back: each that was made, or may have been, is residue, but for those of steps that are left whole.
create function journal.undo_externals(session_ids uuid[], step_ids uuid[], left_steps uuid[]) returns jsonb
language plpgsql stable security definer
set search_path = pg_catalog, pg_temp
as $undo_externals$
begin
    return (
        select coalesce(jsonb_agg(jsonb_build_object(
                   'kind', 'external', 'step_id', s.step_id, 'tool', s.tool, 'key', s.key, 'provider_key', e.provider_key,
                   'reason', case e.status when 'completed' then 'made outside the database' else 'may have been made outside the database' end)
                   order by s.started_at, s.step_id), '[]')
          from journal.step s
          join journal.external e on e.step_id = s.step_id
         where s.session_id = any (session_ids) and (step_ids is null or s.step_id = any (step_ids)) and s.step_id <> all (left_steps) and e.status <> 'failed');
end
$undo_externals$;

comment on function journal.undo_externals(uuid[], uuid[], uuid[]) is 'External effects of sessions, as residue. Private.';

-- sql/journal/rollback/undo_check_bound.sql
-- What marks keys, receipts and messages as taken back may do so only in the transaction, and under the id, of a rollback that it
-- is bound to.
create function journal.undo_check_bound(rollback_id uuid) returns void
language plpgsql volatile
as $undo_check_bound$
begin
    if not exists (select from journal.bound_session() b join journal.session s using (session_id)
                    where b.session_id = undo_check_bound.rollback_id and s.kind = 'rollback')
       or exists (select from journal.rollback r where r.rollback_id = undo_check_bound.rollback_id) then
        raise exception using errcode = '42501', message = 'only a rollback may mark what it takes back', hint = 'call journal.rollback';
    end if;
end
$undo_check_bound$;

comment on function journal.undo_check_bound(uuid) is 'Raises unless the transaction is bound to this rollback. Private.';

-- sql/journal/rollback/undo_messages.sql
-- Adds to a report what becomes of the messages of sessions, and of their external effects: taken back for real in the transaction of rollback_id, or predicted
-- where that is null. Those that were sent and have no compensation are residue; those of what is left whole stay, which is noted.
create function journal.undo_messages(report jsonb, session_ids uuid[], step_ids uuid[], rollback_id uuid, left_steps uuid[], left_transactions xid8[]) returns jsonb
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
as $undo_messages$
declare
    answer jsonb;
    source text := case when rollback_id is null then 'outbox.take_back_plan($1, $2, $4, $5)' else 'outbox.take_back($1, $2, $3, $4, $5)' end;
begin
    if rollback_id is not null then
        perform journal.undo_check_bound(rollback_id);
    end if;
    execute format($messages$
        select jsonb_build_object(
                   'messages', jsonb_build_object('cancel', count(*) filter (where m.outcome = 'cancelled'),
                                                  'compensate', count(*) filter (where m.outcome = 'compensated'),
                                                  'sent', count(*) filter (where m.outcome in ('sent', 'compensated'))),
                   'notes', coalesce(jsonb_agg(distinct jsonb_build_object('kind', 'message', 'name', m.topic, 'reason', 'stays: all rows of its step are left as they are'))
                                     filter (where m.outcome = 'kept'), '[]'),
                   'residue', coalesce(jsonb_agg(jsonb_build_object('kind', 'message', 'message_id', m.message_id, 'topic', m.topic, 'key', m.key,
                                                                    'destinations', m.destinations, 'reason', 'sealed, no compensation declared'))
                                       filter (where m.outcome = 'sent'), '[]'))
          from %s m$messages$, source)
       into answer using session_ids, step_ids, rollback_id, left_steps, left_transactions;
    return report || answer || jsonb_build_object('notes', (report -> 'notes') || (answer -> 'notes'),
                                                  'residue', (answer -> 'residue') || journal.undo_externals(session_ids, step_ids, left_steps));
end
$undo_messages$;

comment on function journal.undo_messages(jsonb, uuid[], uuid[], uuid, uuid[], xid8[]) is 'What becomes, or became, of the messages of sessions. Private.';

-- sql/journal/rollback/undo_check_attempts.sql
-- Rolling a rollback back puts steps into effect again. Not where a later attempt of the same key is in effect by now: what it
-- does would be done twice. Asked once everything is accounted for.
create function journal.undo_check_attempts(session_ids uuid[]) returns void
language plpgsql stable security definer
set search_path = pg_catalog, pg_temp
as $undo_check_attempts$
declare
    twice record;
begin
    with recursive below as (
        select r.session_ids from journal.rollback r where r.rollback_id = any (undo_check_attempts.session_ids)
        union
        select r.session_ids from below b join journal.rollback r on r.rollback_id = any (b.session_ids)
    )
    select s.tool, s.key, s.attempt, l.attempt as later, l.session_id, l.step_id into twice
      from below b
      join journal.step s on s.session_id = any (b.session_ids) and s.key is not null and s.holds_key
      join journal.step l on l.tenant = s.tenant and l.tool = s.tool and l.key = s.key and l.attempt > s.attempt and l.holds_key
     where exists (select from journal.receipt r where r.step_id = s.step_id) and exists (select from journal.receipt r where r.step_id = l.step_id)
       and journal.effective_rollback(s.session_id, s.step_id) is null and journal.effective_rollback(l.session_id, l.step_id) is null
     limit 1;
    if found then
        raise exception using
            errcode = 'JR035', message = format('attempt %s of a key of %s is in effect; attempt %s would be so too', twice.later, twice.tool, twice.attempt),
            detail = jsonb_build_object('tool', twice.tool, 'key', twice.key, 'session_id', twice.session_id, 'step_id', twice.step_id),
            hint = format('roll attempt %s back first: step %s', twice.later, twice.step_id);
    end if;
end
$undo_check_attempts$;

comment on function journal.undo_check_attempts(uuid[]) is 'Raises RollbackRefused where two attempts of a key would be in effect. Private.';

-- sql/journal/rollback/undo_account.sql
-- Keys and receipts of what was rolled back, in the same transaction as the rows. Sessions that were still open are stopped
-- for good; a rollback that was itself rolled back counts no more. What was taken back before stays with the rollback that did it.
create function journal.undo_account(rollback_id uuid, session_ids uuid[], step_ids uuid[], partly boolean, left_steps uuid[]) returns jsonb
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
as $undo_account$
declare
    reversed record;
    standing constant uuid[] := array(select s from unnest(session_ids) s where journal.session_reversed(s) <> 'fully');
begin
    perform journal.undo_check_bound(rollback_id);
    update journal.rollback r set reversed_by = undo_account.rollback_id
     where r.rollback_id = any (standing) and undo_account.step_ids is null and not undo_account.partly;
    select * into reversed from journal.reverse_steps(standing, undo_account.step_ids, undo_account.rollback_id, undo_account.partly, undo_account.left_steps);
    perform journal.undo_check_attempts(standing);
    update journal.session s
       set status = 'stopped', closed_at = clock_timestamp(), status_reason = format('rolled back by %s', undo_account.rollback_id)
     where s.session_id = any (undo_account.session_ids) and s.status = 'open' and undo_account.step_ids is null;
    return jsonb_build_object('keys_reversed', reversed.keys, 'receipts_reversed', reversed.receipts);
end
$undo_account$;

comment on function journal.undo_account(uuid, uuid[], uuid[], boolean, uuid[]) is 'Marks keys, receipts and sessions as rolled back. Private.';

-- sql/journal/rollback/undo_conclude.sql
-- The end of a report: outcome and exit code, by one rule for every mode.
create function journal.undo_conclude(report jsonb, conflicts jsonb, failure jsonb, on_conflict text, rollback_id uuid, shown integer) returns jsonb
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $undo_conclude$
declare
    refused constant boolean := failure is not null or not journal.undo_may_proceed(report, on_conflict);
    -- rows that a rollback before this one left alone, and messages it could not take back, are no work of this one
    again   constant boolean := not exists (select from jsonb_array_elements(report -> 'sessions') s where s ->> 'reversed_before' = 'no');
    idle    constant boolean := (report #>> '{rows,total}')::bigint = (report #>> '{rows,noop}')::bigint
                                    + case when again then (report #>> '{rows,conflict}')::bigint else 0 end
                                and (report #>> '{messages,cancel}')::bigint + case when again then 0 else (report #>> '{messages,sent}')::bigint end = 0
                                and coalesce((report ->> 'keys_reversed')::bigint, 0) + coalesce((report ->> 'receipts_reversed')::bigint, 0) = 0;
    left_over constant boolean := (report #>> '{rows,conflict}')::bigint > 0 or jsonb_array_length(report -> 'residue') > 0;
    outcome constant text := case when refused then 'refused' when idle then 'nothing' when left_over then 'partly' else 'done' end;
    committed constant boolean := report ->> 'mode' = 'apply' and not refused and not idle;
begin
    return report || jsonb_build_object(
        'outcome', case when report ->> 'mode' = 'plan' and outcome <> 'nothing' then 'planned' else outcome end,
        'exit_code', case outcome when 'refused' then 3 when 'nothing' then 4 when 'partly' then 5 else 0 end,
        'committed', committed,
        'rollback_id', case when committed then rollback_id end,
        'redo', case when committed then 'journal rollback --session ' || rollback_id end,
        'finished_at', journal.utc(clock_timestamp()),
        'conflicts', (select coalesce(jsonb_agg(c order by n), '[]') from jsonb_array_elements(conflicts) with ordinality as c (c, n) where n <= shown),
        'conflicts_shown', least(jsonb_array_length(conflicts), shown),
        'residue', (select coalesce(jsonb_agg(r order by n), '[]') from jsonb_array_elements(report -> 'residue') with ordinality as r (r, n) where n <= shown),
        'residue_shown', least(jsonb_array_length(report -> 'residue'), shown));
end
$undo_conclude$;

comment on function journal.undo_conclude(jsonb, jsonb, jsonb, text, uuid, integer) is 'Outcome and exit code of a rollback. Private.';

-- sql/journal/rollback/undo_record.sql
-- The record of a rollback: the row in journal.rollback with its report, and what it left, one row each, to tick off.
create function journal.undo_record(report jsonb, step_ids uuid[], conflicts jsonb, residue jsonb) returns void
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
as $undo_record$
begin
    perform journal.undo_check_bound((report ->> 'rollback_id')::uuid);
    insert into journal.rollback (rollback_id, session_ids, step_ids, on_conflict, reason, db_user, db_role, started_at, applied_at, plan_digest, report)
    values ((report ->> 'rollback_id')::uuid, array(select (s ->> 'session_id')::uuid from jsonb_array_elements(report -> 'sessions') s), undo_record.step_ids,
            report ->> 'on_conflict', report ->> 'reason', session_user, journal.caller(), (report ->> 'started_at')::timestamptz,
            (report ->> 'finished_at')::timestamptz, report ->> 'plan_digest', report);
    with tables as (  -- by the catalog: a definer function may not enter every schema by name
        select k.oid::regclass as relation, format('%I.%I', n.nspname, k.relname) as table_name
          from pg_class k join pg_namespace n on n.oid = k.relnamespace
    ), columns as (  -- by number: a name may belong to another column tomorrow, with other readers
        select t.relation, t.table_name, quote_ident(a.attname) as name, a.attnum
          from tables t join pg_attribute a on a.attrelid = t.relation and a.attnum > 0 and not a.attisdropped
         where t.table_name in (select c ->> 'table' from jsonb_array_elements(conflicts) c)
    )
    insert into journal.residue_item (residue_id, rollback_id, kind, relation, table_name, key, key_attnums, column_name, attnum, reason, base, ours, theirs,
                                      their_session_id, their_user, their_at)
    select outbox.uuid7(), (report ->> 'rollback_id')::uuid, 'row', t.relation, c ->> 'table', c -> 'key',
           array(select k.attnum from jsonb_object_keys(case jsonb_typeof(c -> 'key') when 'object' then c -> 'key' else '{}' end) as part (name)
                   left join columns k on k.relation = t.relation and k.name = part.name),
           c ->> 'column', (select k.attnum from columns k where k.relation = t.relation and k.name = c ->> 'column' and c ->> 'reason' <> 'column_dropped'),
           c ->> 'reason', c -> 'base', c -> 'ours', c -> 'theirs', (c #>> '{their,session_id}')::uuid, c #>> '{their,db_user}',
           (c #>> '{their,at}')::timestamptz
      from jsonb_array_elements(conflicts) c
      left join tables t on t.table_name = c ->> 'table'
     where not coalesce((c ->> 'forced')::boolean, false);
    insert into journal.residue_item (residue_id, rollback_id, kind, key, reason, message_id, destination)
    select outbox.uuid7(), (report ->> 'rollback_id')::uuid, m ->> 'kind', to_jsonb(m ->> 'key'), m ->> 'reason', (m ->> 'message_id')::uuid,
           (select string_agg(d, ', ') from jsonb_array_elements_text(m -> 'destinations') d)
      from jsonb_array_elements(residue) m;
end
$undo_record$;

comment on function journal.undo_record(jsonb, uuid[], jsonb, jsonb) is 'Records a rollback and its residue. Private.';

-- sql/journal/rollback/undo_record_left.sql
-- Writes down the changes of one table that a rollback leaves as they are: those given, or with null all.
create function journal.undo_record_left(rollback_id uuid, relation oid, session_ids uuid[], step_ids uuid[], statements bigint[], keys text[]) returns void
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
as $undo_record_left$
begin
    perform journal.undo_check_bound(undo_record_left.rollback_id);
    if statements is null then
        insert into journal.left_image (rollback_id, statement_id)
        select undo_record_left.rollback_id, s.statement_id
          from journal.undo_statements(undo_record_left.session_ids, undo_record_left.step_ids, null) s where s.relation = undo_record_left.relation;
    else
        insert into journal.left_image (rollback_id, statement_id, row_key)
        select undo_record_left.rollback_id, l.statement_id, l.row_key from unnest(statements, keys) as l (statement_id, row_key);
    end if;
end
$undo_record_left$;

comment on function journal.undo_record_left(uuid, oid, uuid[], uuid[], bigint[], text[]) is 'Records changes of one table that a rollback leaves. Private.';

-- sql/journal/rollback/undo_left.sql
-- Records which changes a rollback leaves as they are, so that the next one concerns itself with these alone: what others do to the
-- rows that were taken back is theirs from now on.
create function journal.undo_left(rollback_id uuid) returns void
language plpgsql volatile
as $undo_left$
declare
    item       record;
    statements bigint[];
    keys       text[];
begin
    for item in
        select u.relation, u.target, a.session_ids, a.step_ids from pg_temp.journal_undo u, pg_temp.journal_undo_args a
         where u.target is null or exists (select from pg_temp.journal_undo_group g where g.relation = u.relation and g.status = 'conflict')
    loop
        statements := null;
        keys := null;
        if item.target is not null then
            execute format('select array_agg(c.statement_id), array_agg(c.row_key) from (%s) c where c.status = ''conflict''', journal.undo_each_change(item.relation))
               into statements, keys;
        end if;
        perform journal.undo_record_left(rollback_id, item.relation, item.session_ids, item.step_ids, statements, keys);
    end loop;
end
$undo_left$;

comment on function journal.undo_left(uuid) is 'Records the changes that a rollback leaves as they are. Private.';

-- sql/journal/rollback/undo_cascade.sql
-- The sessions that were built on the given ones: whose later changes conflict with the rollback, and whose own rollback
-- conflicts with others, until none is found. Only sessions of agents; what anybody else did stays a conflict.
create function journal.undo_cascade(session_ids uuid[], step_ids uuid[]) returns uuid[]
language plpgsql volatile
as $undo_cascade$
declare
    cascaded uuid[] := '{}';
    found_now uuid[];
begin
    if step_ids is not null then
        raise exception using errcode = '22023', message = 'on_conflict cascade takes whole sessions, not steps';
    end if;
    loop
        begin
            perform journal.undo_prepare(array(select m.session_id from journal.undo_members(session_ids || cascaded, true) m), null, 'refuse', false, false);
            found_now := array(select distinct s from journal.undo_built_on() s where s <> all (session_ids || cascaded));
            raise exception using errcode = 'JR999';
        exception when sqlstate 'JR999' then
            perform journal.undo_as_caller(false);
        end;
        exit when found_now = '{}';
        cascaded := cascaded || found_now;
    end loop;
    return cascaded;
end
$undo_cascade$;

comment on function journal.undo_cascade(uuid[], uuid[]) is 'The sessions that were built on the given ones. Private.';

-- sql/journal/rollback/undo_large_objects.sql
-- Large objects that values point to which a rollback takes away: who made them, and what else points to them, is not recorded.
create function journal.undo_large_objects() returns jsonb
language plpgsql volatile
as $undo_large_objects$
declare
    item  record;
    part  jsonb;
    found_all jsonb := '[]';
begin
    for item in
        select c.relation, c.attnum, u.table_name, c.name from pg_temp.journal_undo_column c join pg_temp.journal_undo u using (relation)
         where u.target is not null and c.carried and c.problem is null and c.base_type = 'oid'
    loop
        execute format($objects$
            select coalesce(jsonb_agg(distinct jsonb_build_object('kind', 'large_object', 'key', u.a%2$s::text, 'reason', %3$L)), '[]')
              from pg_temp.journal_undo_%1$s u join pg_catalog.pg_largeobject_metadata l on l.oid::text = u.a%2$s::text
             where u.status = 'remove' or u.status = 'restore' and %2$s = any (u.restored)$objects$,
            item.relation, item.attnum, format('%s.%s no longer points to it', item.table_name, item.name)) into part;
        found_all := found_all || part;
    end loop;
    return found_all;
end
$undo_large_objects$;

comment on function journal.undo_large_objects() is 'Large objects that a rollback leaves behind. Private.';

-- sql/journal/rollback/undo_run.sql
-- The course of a rollback: admit, fence, plan, decide, carry out, account. Whatever is not to stay is rolled back with the
-- subtransaction that ends in JR999 (not JR000: that would catch the whole class); the report survives in a variable.
create function journal.undo_run(session_ids uuid[], step_ids uuid[], on_conflict text, mode text, expected_digest text, reason text,
                                 max_rows bigint, deadline timestamptz, shown integer) returns jsonb
language plpgsql volatile
as $undo_run$
declare
    report     jsonb;
    members    uuid[];
    cascaded   uuid[] := '{}';
    rollback   uuid;
    conflicts  jsonb;
    lost       jsonb;
    failure    jsonb;
    residue    jsonb;
    untouched  record;
    thorough   boolean := false;
    first      text[] := '{}';
    held       text;
    executing  constant boolean := mode <> 'plan';
begin
    perform journal.undo_admit(session_ids, step_ids, on_conflict, mode);
    if on_conflict = 'cascade' then
        cascaded := journal.undo_cascade(session_ids, step_ids);
    end if;
    members := array(select m.session_id from journal.undo_members(session_ids || cascaded, step_ids is null) m);
    begin
        if executing then
            perform journal.undo_fence(members, step_ids is null and mode = 'apply', false, deadline);
            rollback := journal.undo_enter(reason);
        end if;
        report := journal.undo_head(session_ids, step_ids, cascaded, on_conflict, mode, reason);
        loop  -- until an attempt meets nobody: one that does gives back what it locked, and the next locks that first
            begin
                perform journal.undo_lock_first(first, deadline);
                loop
                    exit when journal.undo_prepare(members, step_ids, on_conflict, executing, thorough);
                end loop;
                report := report || journal.undo_counts() || jsonb_build_object('plan_digest', journal.undo_digest());
                perform journal.undo_check_plan(report, expected_digest, max_rows, executing);
                lost := case when on_conflict = 'force' then journal.undo_conflicts(shown, true) else '[]' end;
                exit when not executing or not journal.undo_may_proceed(report, on_conflict);
                perform journal.undo_progress('writing');
                failure := journal.undo_carry_out(on_conflict);
                report := report || journal.undo_counts();
                exit;
            exception when sqlstate 'JR998' or lock_not_available or deadlock_detected then
                get stacked diagnostics held = pg_exception_detail;
                if starts_with(held, '[') then
                    first := array(select distinct s.statement from (select unnest(first) union all select jsonb_array_elements_text(held::jsonb)) as s (statement) order by 1);
                end if;
                thorough := true;
                perform journal.undo_busy(deadline, case when clock_timestamp() >= deadline then array(select r.relation from journal.undo_relations(members, step_ids) r) end);
            end;
        end loop;
        update pg_temp.journal_undo_args set rollback_id = rollback;
        conflicts := lost || journal.undo_conflicts(case when mode = 'apply' and on_conflict = 'skip' then null else shown end, false) || coalesce(failure, '[]'::jsonb);
        select * into untouched from journal.undo_left_whole();
        if executing and failure is null and journal.undo_may_proceed(report, on_conflict) then
            perform journal.undo_fence(members, false, true, deadline);
            report := journal.undo_messages(report, members, step_ids, rollback, untouched.steps, untouched.transactions);
            perform journal.undo_left(rollback);
            report := report || journal.undo_account(rollback, members, step_ids, (report #>> '{rows,conflict}')::bigint > 0, untouched.steps);
        else
            report := journal.undo_messages(report, members, step_ids, null, untouched.steps, untouched.transactions);
            if mode = 'plan' and journal.undo_may_proceed(report, on_conflict) then
                report := report || (select jsonb_build_object('keys_reversed', e.keys, 'receipts_reversed', e.receipts) from journal.steps_in_effect(members, step_ids, untouched.steps) e);
            end if;
        end if;
        report := jsonb_set(report, '{residue}', report -> 'residue' || journal.undo_large_objects());
        residue := report -> 'residue';
        report := journal.undo_conclude(report, conflicts, failure, on_conflict, rollback, shown);
        if mode = 'apply' and (report ->> 'committed')::boolean then
            perform journal.undo_record(report, step_ids, conflicts, residue);
            perform journal.undo_leave();
        else
            raise exception using errcode = 'JR999';
        end if;
    exception when sqlstate 'JR999' then
        perform journal.undo_as_caller(false);
    end;
    return report;
end
$undo_run$;

comment on function journal.undo_run(uuid[], uuid[], text, text, text, text, bigint, timestamptz, integer) is 'The course of a rollback. Private: call journal.rollback_report.';

-- sql/journal/rollback/rollback_report.sql
-- Plans or carries out a rollback, and reports. One body for plan, dry run, rehearsal and the real thing: all but the last
-- happen in a subtransaction that is rolled back, so what is shown is what would happen. Runs with the caller's rights.
create function journal.rollback_report(
    session_ids     uuid[],
    step_ids        uuid[] default null,
    on_conflict     text default 'refuse',
    mode            text default 'apply',
    expected_digest text default null,
    reason          text default '',
    max_rows        bigint default null,
    wait            interval default '30 s',
    shown           integer default 100
) returns jsonb
language plpgsql volatile
as $rollback_report$
declare
    report jsonb;
begin
    perform journal.undo_pin();
    report := journal.undo_run(session_ids, step_ids, on_conflict, mode, expected_digest, reason, max_rows, clock_timestamp() + wait, shown);
    perform journal.undo_unpin();
    return report;
end
$rollback_report$;

comment on function journal.rollback_report(uuid[], uuid[], text, text, text, text, bigint, interval, integer) is
    'Plans (mode plan), tries (dry_run, rehearse) or carries out (apply) the rollback of sessions, or of some of their steps, and returns the report. on_conflict: refuse, skip, cascade, force. Raises RollbackBusy, RollbackRefused, PlanChanged, TooManyRows, UnknownSession.';

-- sql/journal/rollback/rollback_sessions.sql
-- Rolls sessions back in the caller's transaction, or raises. The sessions must be stopped or closed. What is raised ends in the
-- server's log: it holds no value of a row.
create function journal.rollback_sessions(
    session_ids     uuid[],
    on_conflict     text default 'refuse',
    expected_digest text default null,
    reason          text default '',
    max_rows        bigint default null,
    step_ids        uuid[] default null,
    wait            interval default '30 s'
) returns uuid
language plpgsql volatile
as $rollback_sessions$
declare
    report constant jsonb := journal.rollback_report(session_ids, step_ids, on_conflict, 'apply', expected_digest, reason, max_rows, wait);
    told   constant jsonb := journal.without_values(report);
begin
    if report ->> 'outcome' = 'refused' then
        raise exception using
            errcode = case when (report #>> '{rows,refuse}')::bigint > 0 then 'JR035' else 'JR034' end,
            message = format('%s of %s rows stand in the way; nothing changed',
                             greatest(1, (report #>> '{rows,conflict}')::bigint + (report #>> '{rows,refuse}')::bigint), report #>> '{rows,total}'),
            hint = 'journal.plan_rollback lists them with their values; on_conflict => ''skip'' leaves them as they are',
            detail = jsonb_build_object('plan', told, 'conflicts', told -> 'conflicts',
                                        'reasons', (select jsonb_agg(distinct c -> 'reason') from jsonb_array_elements(report -> 'conflicts') c));
    end if;
    return (report ->> 'rollback_id')::uuid;
end
$rollback_sessions$;

comment on function journal.rollback_sessions(uuid[], text, text, text, bigint, uuid[], interval) is
    'Rolls sessions (or some of their steps) back in the caller''s transaction. Returns the rollback''s id, null when there was nothing to do. Raises RollbackConflict, RollbackRefused, RollbackBusy, PlanChanged, TooManyRows, UnknownSession.';

-- sql/journal/rollback/rollback.sql
-- rollback_sessions for one session.
create function journal.rollback(
    session_id      uuid,
    on_conflict     text default 'refuse',
    expected_digest text default null,
    reason          text default '',
    max_rows        bigint default null,
    step_ids        uuid[] default null,
    wait            interval default '30 s'
) returns uuid
language sql volatile
as $rollback$
    select journal.rollback_sessions(array[session_id], on_conflict, expected_digest, reason, max_rows, step_ids, wait)
$rollback$;

comment on function journal.rollback(uuid, text, text, text, bigint, uuid[], interval) is
    'Rolls a stopped or closed session back in the caller''s transaction. Returns the rollback''s id, null when there was nothing to do; see journal.rollback_sessions.';

-- sql/journal/rollback/plan_rollback.sql
-- The plan of a rollback as rows: one per table and status first, then one per conflict.
create function journal.plan_rollback(session_ids uuid[], step_ids uuid[] default null, on_conflict text default 'refuse')
returns table (status text, relation regclass, key jsonb, column_name text, reason text, base text, ours text, theirs text, constraint_name text,
               their_session_id uuid, their_user text, their_at timestamptz, rows bigint)
language plpgsql volatile
as $plan_rollback$
declare
    report constant jsonb := journal.rollback_report(session_ids, step_ids, on_conflict, 'plan', shown => 1000000);
begin
    return query
    select s.status, to_regclass(t.listed ->> 'table'), null::jsonb, null, null, null, null, null, null, null::uuid, null, null::timestamptz, s.rows::bigint
      from jsonb_array_elements(report -> 'tables') as t (listed), jsonb_each_text(t.listed -> 'rows') as s (status, rows)
     where s.status not in ('total', 'conflict')
    union all
    select 'conflict', to_regclass(c ->> 'table'), c -> 'key', c ->> 'column', c ->> 'reason', c ->> 'base', c ->> 'ours', c ->> 'theirs',
           c ->> 'constraint', (c #>> '{their,session_id}')::uuid, c #>> '{their,db_user}', (c #>> '{their,at}')::timestamptz, 1
      from jsonb_array_elements(report -> 'conflicts') as c;
end
$plan_rollback$;

comment on function journal.plan_rollback(uuid[], uuid[], text) is
    'What a rollback would do: the rows per table and status, then each conflict (rows = 1, with its key). Changes nothing.';

-- sql/journal/functions/resolve_residue.sql
-- Ticks an entry of journal.residue off: somebody has dealt with it.
create function journal.resolve_residue(residue_id uuid, note text) returns boolean
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
as $resolve_residue$
begin
    update journal.residue_item i set resolved_at = clock_timestamp(), resolved_by = session_user, note = resolve_residue.note
     where i.residue_id = resolve_residue.residue_id and i.resolved_at is null;
    return found;
end
$resolve_residue$;

comment on function journal.resolve_residue(uuid, text) is 'Ticks an entry of journal.residue off, with a note; false where it was resolved already or does not exist.';

-- sql/journal/views/rollbacks.sql
-- Committed rollbacks: a row exists if and only if that rollback committed.
create view journal.rollbacks as
select r.rollback_id,
       r.session_ids,
       r.step_ids,
       r.on_conflict,
       r.reason,
       r.db_user,
       r.db_role,
       r.started_at,
       r.applied_at,
       r.plan_digest,
       (r.report #>> '{changes,total}')::bigint as changes,
       (r.report #>> '{rows,total}')::bigint as rows,
       (r.report #>> '{rows,restore}')::bigint + (r.report #>> '{rows,remove}')::bigint + (r.report #>> '{rows,reinsert}')::bigint
           + (r.report #>> '{rows,adjust}')::bigint as undone,
       (r.report #>> '{rows,noop}')::bigint as noop,
       (r.report #>> '{rows,force}')::bigint as forced,
       (r.report #>> '{rows,conflict}')::bigint + (r.report #>> '{rows,refuse}')::bigint as left_as_is,
       (r.report #>> '{messages,cancel}')::bigint as messages_cancelled,
       (r.report #>> '{messages,compensate}')::bigint as messages_compensated,
       (select count(*) from journal.residue_item i where i.rollback_id = r.rollback_id) as residue,
       case when journal.session_reversed(r.rollback_id) = 'fully' then r.reversed_by end as reversed_by,
       case when journal.is_auditor(journal.caller()) then r.report else journal.without_values(r.report) end as report
  from journal.rollback r;

comment on view journal.rollbacks is 'Committed rollbacks. A row exists if and only if that rollback committed.';
comment on column journal.rollbacks.rollback_id is 'Id of the rollback, which is a session too: roll it back to redo.';
comment on column journal.rollbacks.session_ids is 'Sessions that were rolled back, child sessions included.';
comment on column journal.rollbacks.step_ids is 'Steps that were rolled back; null: whole sessions.';
comment on column journal.rollbacks.on_conflict is 'refuse, skip, cascade or force.';
comment on column journal.rollbacks.reason is 'Why, in the words of whoever rolled back.';
comment on column journal.rollbacks.db_user is 'session_user of whoever rolled back.';
comment on column journal.rollbacks.db_role is 'Role set, or session_user.';
comment on column journal.rollbacks.started_at is 'When planning began.';
comment on column journal.rollbacks.applied_at is 'When all was applied and verified, shortly before the commit.';
comment on column journal.rollbacks.plan_digest is 'Digest of the plan that was applied.';
comment on column journal.rollbacks.changes is 'Journaled changes of the sessions.';
comment on column journal.rollbacks.rows is 'Rows that those changes come down to.';
comment on column journal.rollbacks.undone is 'Rows restored, removed, inserted again or adjusted.';
comment on column journal.rollbacks.noop is 'Rows with nothing to do.';
comment on column journal.rollbacks.forced is 'Rows overwritten although somebody changed them since.';
comment on column journal.rollbacks.left_as_is is 'Rows left as they are: conflicts that were skipped.';
comment on column journal.rollbacks.messages_cancelled is 'Messages cancelled before they were sealed.';
comment on column journal.rollbacks.messages_compensated is 'Messages answered by their declared compensation.';
comment on column journal.rollbacks.residue is 'Entries in journal.residue.';
comment on column journal.rollbacks.reversed_by is 'The rollback that rolled this one back, and is itself in effect; null: this one is in effect, at least in part.';
comment on column journal.rollbacks.report is 'The whole report, schema journal.rollback/1. key, base, ours and theirs of its conflicts are null except for journal_auditor; see journal.residue.';

-- sql/journal/views/residue.sql
-- What rollbacks could not undo: a list to tick off. Values of rows are shown as images are: to whoever may see the column
-- now. What stands in the way at another table, or as a whole row, is no value of that column. What a rollback left needs nobody while that rollback
-- is itself taken back: it reads as resolved by whoever did that, and is open again should it come into effect again.
create view journal.residue as
with moot as materialized (
    select r.rollback_id, x.applied_at, x.db_user, 'taken back by ' || x.rollback_id as note
      from journal.rollback r join journal.rollback x on x.rollback_id = r.reversed_by
     where journal.session_reversed(r.rollback_id) = 'fully'
)
select i.residue_id, i.rollback_id, i.session_id, i.kind, i.relation, i.table_name,
       case when i.kind <> 'row' or journal.may_see(i.relation, i.key_attnums, seer.name) then i.key end as key,
       i.column_name, i.reason,
       case when journal.may_see(i.relation, array[i.attnum], seer.name) then i.base end as base,
       case when journal.may_see(i.relation, array[i.attnum], seer.name) then i.ours end as ours,
       case when case when i.reason in ('changed_since', 'changed_and_back', 'retyped', 'trigger_rewrote') then journal.may_see(i.relation, array[i.attnum], seer.name)
                      else journal.may_see(case when i.reason <> 'referenced_since' then i.relation end, null, seer.name) end then i.theirs end as theirs,
       i.their_session_id, i.their_user, i.their_at, i.message_id, i.destination,
       coalesce(i.resolved_at, m.applied_at) as resolved_at,
       case when i.resolved_at is null then m.db_user else i.resolved_by end as resolved_by,
       case when i.resolved_at is null then m.note else i.note end as note
  from journal.residue_item i
  left join moot m on m.rollback_id = i.rollback_id
 cross join journal.caller() as seer (name);

comment on view journal.residue is 'What rollbacks could not undo, one row each, to be ticked off. key, base, ours and theirs are null for whoever may not select those columns now, or where the table is dropped or has row security; journal_auditor sees all.';
comment on column journal.residue.residue_id is 'Id of the entry.';
comment on column journal.residue.rollback_id is 'The rollback that left it.';
comment on column journal.residue.session_id is 'The session whose change it was; null where a rollback of several left it.';
comment on column journal.residue.kind is 'row, message, sequence, large_object, materialized_view or external.';
comment on column journal.residue.relation is 'Table of a row.';
comment on column journal.residue.table_name is 'Name of the table then.';
comment on column journal.residue.key is 'Primary key of a row, or key of a message.';
comment on column journal.residue.column_name is 'Column in conflict; null where it is the whole row.';
comment on column journal.residue.reason is 'Why it was left.';
comment on column journal.residue.base is 'Value before the session.';
comment on column journal.residue.ours is 'Value that the session left.';
comment on column journal.residue.theirs is 'Value found.';
comment on column journal.residue.their_session_id is 'Session that wrote it, where known.';
comment on column journal.residue.their_user is 'Database user that wrote it, where known.';
comment on column journal.residue.their_at is 'When, where known.';
comment on column journal.residue.message_id is 'Message that could not be taken back.';
comment on column journal.residue.destination is 'Destinations that it was meant for.';
comment on column journal.residue.resolved_at is 'When somebody ticked it off, or took the rollback back.';
comment on column journal.residue.resolved_by is 'Who did.';
comment on column journal.residue.note is 'What was done about it.';


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
            'grant execute on function journal.operation_name("char"), journal.images(text, bigint[]), journal.row_images(regclass, jsonb),
             journal.session_changes(uuid), journal.row_history(regclass, jsonb), journal.qualified_name(oid), journal.coverage_state(regclass),
             journal.attribute_names(oid, int2[]), journal.is_droppable(journal.segment, interval) to %I', role_name);
    end loop;
    for role_name in select r.rolname from pg_catalog.pg_roles as r where r.rolname = 'journal_operator' loop
        execute format(
            'grant execute on function journal.cover(regclass, text, boolean, text[], text[], text[], text, boolean), journal.uncover(regclass),
             journal.why_not_coverable(regclass, boolean), journal.why_too_wide(regclass), journal.refuse_uncoverable(regclass, text), journal.let_capture_read(oid, boolean), journal.cover_again(regclass), journal.cover_options(regclass), journal.prune(interval, interval),
             journal.why_not_excludable(regclass, int2[]), journal.present_shape(regclass, int2[]), journal.image_type(oid), journal.base_type(oid), journal.relations_of(oid), journal.column_numbers(regclass, text[], text),
             journal.make_segment(regclass, journal.covered_table), journal.set_triggers(regclass, "char", text), journal.set_merge_trigger(regclass, "char", text), journal.keep_row(), journal.trigger_marks(oid), journal.is_capture(oid), journal.note_gap(regclass),
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
             journal.resume_session(uuid), journal.close_session(uuid, text, text), journal.bind(uuid, uuid), journal.bound_session(),
             journal.begin_step(uuid, text, text, jsonb, integer, interval, jsonb, text, boolean), journal.complete_step(uuid, jsonb),
             journal.end_step(uuid, jsonb, boolean), journal.receipt_json(uuid),
             journal.enter_step(uuid, text, text, jsonb, integer, interval, jsonb, text, boolean, boolean),
             journal.intend_step(uuid, text, text, uuid, jsonb, integer, interval, jsonb, text, boolean),
             journal.take_external(uuid, uuid, interval), journal.end_external(uuid, jsonb), journal.settle_external(uuid, text, jsonb, jsonb),
             journal.claim(uuid, text, uuid), journal.check_claims(uuid, uuid[]),
             journal.fail_step(uuid, uuid, text, text, jsonb, integer, jsonb, jsonb, boolean, timestamptz, jsonb, text, boolean) to %I', role_name);
    end loop;
    for role_name in select r.rolname from pg_catalog.pg_roles as r where r.rolname = 'journal_operator' loop
        execute format(
            'grant execute on function journal.stop_session(uuid, text), journal.stop_agent(text, text), journal.resume_agent(text),
             journal.resolve_external(uuid, text, text), journal.confirm(uuid, text) to %I',
            role_name);
    end loop;
    for role_name in
        select r.rolname from pg_catalog.pg_roles as r where r.rolname in ('journal_operator', 'journal_reader', 'journal_auditor')
    loop
        execute format('grant select on journal.sessions, journal.steps, journal.receipts, journal.externals, journal.claims to %I', role_name);
        execute format(
            'grant execute on function journal.abandoned_after(), journal.retention(), journal.session_reversed(uuid),
             journal.effective_rollback(uuid, uuid), journal.receipt_json(uuid), journal.delivered_at(jsonb),
             journal.claim_verdict(uuid, uuid, uuid) to %I', role_name);
    end loop;
end
$grants_steps$;

-- rollback: operators plan and carry out with their own rights on the tables, and read the record; readers read it
do $grants_rollback$
declare
    role_name text;
    function_signature text;
begin
    for role_name in select r.rolname from pg_catalog.pg_roles as r where r.rolname = 'journal_operator' loop
        for function_signature in
            select p.oid::pg_catalog.regprocedure::text from pg_catalog.pg_proc p
             where p.pronamespace = 'journal'::pg_catalog.regnamespace
               and (p.proname like 'undo\_%' or p.proname in ('rollback', 'rollback_sessions', 'rollback_report', 'plan_rollback', 'resolve_residue',
                    'check_readable', 'unreadable', 'key_text', 'live_key', 'differs', 'unique_columns', 'unique_expressions', 'operator_name', 'utc', 'qualified_name', 'image_of', 'caller', 'image_type', 'base_type', 'whole_xid', 'steps_in_effect'))
        loop
            execute format('grant execute on function %s to %I', function_signature, role_name);
        end loop;
    end loop;
    for role_name in
        select r.rolname from pg_catalog.pg_roles as r where r.rolname in ('journal_operator', 'journal_reader', 'journal_auditor')
    loop
        execute format('grant select on journal.rollbacks, journal.residue to %I', role_name);
        execute format('grant execute on function journal.caller(), journal.is_auditor(name), journal.may_see(oid, int2[], name), journal.without_values(jsonb) to %I', role_name);
    end loop;
end
$grants_rollback$;

-- messages and relays: agents publish, operators run relays, readers look. Nobody may call outbox.take_back but the journal.
do $grants_relay$
declare
    role_name text;
begin
    for role_name in select r.rolname from pg_catalog.pg_roles as r where r.rolname in ('journal_agent', 'journal_operator') loop
        execute format('grant execute on function outbox.publish(text, text, jsonb, jsonb, text, text, jsonb), outbox.take(text, text) to %I', role_name);
    end loop;
    for role_name in select r.rolname from pg_catalog.pg_roles as r where r.rolname = 'journal_operator' loop
        execute format(
            'grant execute on function outbox.seal(boolean), relay.next_messages(text, integer[], bigint, bigint, bigint, bigint, boolean), relay.last_seal(), relay.confirm(),
             relay.read_part(text, integer[], bigint, bigint, integer, bigint, boolean),
             relay.origin(), relay.knows_lineage(uuid), relay.lanes_of(text), relay.is_fresh(text), relay.is_paused(text),
             relay.check_registered(text, text[], integer, text), relay.register(text, text, text, bigint, text[], integer, text, text),
             relay.lane_state(text, integer), relay.take_lane(text, integer, uuid, text, interval),
             relay.checkpoint(text, integer, bigint, interval, bigint, bigint, bigint, bigint, bigint, bigint, uuid, text, boolean),
             relay.leave_lane(text, integer, bigint), relay.try_alone(text, integer, bigint, uuid, integer), relay.report_error(text, text, boolean), relay.report_recovery(text),
             relay.left_over(text), relay.pause(text), relay.resume(text),
             relay.set_aside(text, integer, bigint, bigint, bigint, uuid, text), relay.note_arrival(text, bigint, bigint, uuid),
             relay.retry(text, text, uuid, text), outbox.rebase(), relay.needs_rebase(),
             relay.move_lane(text, integer, bigint, bigint, bigint, bigint, bigint, bigint, uuid, text), relay.nearest_mark(text, integer, bigint),
             relay.last_seal_of(uuid), relay.is_open_lineage(uuid), relay.url_of(text), relay.last_seal_at(timestamptz),
             relay.finish(text, bigint), outbox.rotate(bigint), relay.prune(interval), relay.keep(), outbox.partition_size() to %I', role_name);
    end loop;
    for role_name in
        select r.rolname from pg_catalog.pg_roles as r where r.rolname in ('journal_operator', 'journal_reader', 'journal_auditor')
    loop
        execute format(
            'grant select on outbox.messages, outbox.backlog, relay.destinations, relay.lag, relay.parked, relay.deliveries to %I', role_name);
        execute format(
            'grant execute on function outbox.seal_of(bigint, xid8), outbox.unsealed(),
             relay.lane_backlog(text, integer), relay.position_of(text, integer, bigint, bigint),
             relay.parked_of(text), relay.is_aside(text, bigint, bigint, bigint, text) to %I', role_name);
    end loop;
end
$grants_relay$;

