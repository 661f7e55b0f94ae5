"""What a database's catalogs say about our three schemas, as comparable text: one line a fact."""

from __future__ import annotations

import psycopg

# Every query yields (object, property, value); ids never appear, so two databases compare. The version table and what belongs
# to it is alembic's, and absent where install.sql was run by psql.
_OURS = "n.nspname in ('journal', 'outbox', 'relay')"
_RELATIONS = f"""
    with c as (
        select c.*, format('%I.%I', n.nspname, c.relname) as name
        from pg_catalog.pg_class as c join pg_catalog.pg_namespace as n on n.oid = c.relnamespace
        where {_OURS} and c.relkind <> 't' and c.relname not in ('schema_version', 'schema_version_pkc')
    )
"""

_QUERIES = (
    f"""
    select format('schema %I', n.nspname), p.* from pg_catalog.pg_namespace as n
    cross join lateral (values
        ('owner', pg_get_userbyid(n.nspowner)), ('privileges', n.nspacl::text),
        ('comment', obj_description(n.oid, 'pg_namespace'))) as p
    where {_OURS}
    """,
    f"""
    {_RELATIONS} select format('%s %s', c.relkind, c.name), p.* from c
    cross join lateral (values
        ('owner', pg_get_userbyid(c.relowner)), ('privileges', c.relacl::text), ('options', c.reloptions::text),
        ('persistence', c.relpersistence::text), ('replica identity', c.relreplident::text),
        ('row security', c.relrowsecurity::text || c.relforcerowsecurity::text), ('partition', pg_get_expr(c.relpartbound, c.oid)),
        ('partition key', pg_get_partkeydef(c.oid)),
        ('comment', obj_description(c.oid, 'pg_class')),
        ('index', case when c.relkind in ('i', 'I') then pg_get_indexdef(c.oid) end),
        ('view', case when c.relkind in ('v', 'm') then pg_get_viewdef(c.oid) end)) as p
    """,
    f"""
    {_RELATIONS} select 'column ' || c.name || '.' || a.attname, p.* from c
    join pg_catalog.pg_attribute as a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
    left join pg_catalog.pg_attrdef as d on d.adrelid = c.oid and d.adnum = a.attnum
    cross join lateral (values
        ('place', a.attnum::text), ('type', format_type(a.atttypid, a.atttypmod)), ('not null', a.attnotnull::text),
        ('default', pg_get_expr(d.adbin, d.adrelid)), ('identity', a.attidentity::text || a.attgenerated::text),
        ('storage', a.attstorage::text || a.attcompression::text), ('privileges', a.attacl::text),
        ('statistics', a.attoptions::text), ('comment', col_description(c.oid, a.attnum))) as p
    """,
    f"""
    {_RELATIONS} select 'constraint ' || c.name || '.' || k.conname, p.* from c
    join pg_catalog.pg_constraint as k on k.conrelid = c.oid
    cross join lateral (values
        ('definition', pg_get_constraintdef(k.oid)), ('validated', k.convalidated::text),
        ('comment', obj_description(k.oid, 'pg_constraint'))) as p
    """,
    f"""
    {_RELATIONS} select 'trigger ' || c.name || '.' || t.tgname, p.* from c
    join pg_catalog.pg_trigger as t on t.tgrelid = c.oid and not t.tgisinternal
    cross join lateral (values
        ('definition', pg_get_triggerdef(t.oid)), ('enabled', t.tgenabled::text),
        ('comment', obj_description(t.oid, 'pg_trigger'))) as p
    """,
    f"""
    {_RELATIONS} select 'policy ' || c.name || '.' || o.polname, p.* from c
    join pg_catalog.pg_policy as o on o.polrelid = c.oid
    cross join lateral (values
        ('command', o.polcmd::text), ('using', pg_get_expr(o.polqual, c.oid)), ('check', pg_get_expr(o.polwithcheck, c.oid))) as p
    """,
    f"""
    {_RELATIONS} select 'sequence ' || c.name, p.* from c
    join pg_catalog.pg_sequence as s on s.seqrelid = c.oid
    cross join lateral (values
        ('definition', concat_ws(' ', s.seqtypid::regtype, s.seqstart, s.seqincrement, s.seqmin, s.seqmax, s.seqcache, s.seqcycle)))
        as p
    """,
    f"""
    select format('function %I.%I(%s)', n.nspname, f.proname, pg_get_function_identity_arguments(f.oid)), p.*
    from pg_catalog.pg_proc as f join pg_catalog.pg_namespace as n on n.oid = f.pronamespace
    cross join lateral (values
        ('owner', pg_get_userbyid(f.proowner)), ('privileges', f.proacl::text), ('comment', obj_description(f.oid, 'pg_proc')),
        ('definition', case when f.prokind <> 'a' then pg_get_functiondef(f.oid) end)) as p
    where {_OURS}
    """,
    f"""
    select format('type %I.%I', n.nspname, t.typname), p.* from pg_catalog.pg_type as t
    join pg_catalog.pg_namespace as n on n.oid = t.typnamespace
    cross join lateral (values
        ('kind', t.typtype::text), ('owner', pg_get_userbyid(t.typowner)), ('privileges', t.typacl::text),
        ('base', format_type(t.typbasetype, t.typtypmod)), ('comment', obj_description(t.oid, 'pg_type')),
        ('labels', (select string_agg(e.enumlabel, ',' order by e.enumsortorder) from pg_catalog.pg_enum as e
            where e.enumtypid = t.oid)),
        ('checks', (select string_agg(pg_get_constraintdef(k.oid), ',' order by k.conname) from pg_catalog.pg_constraint as k
            where k.contypid = t.oid))) as p
    where {_OURS} and t.typname not in ('schema_version', '_schema_version')
    """,
    """
    select 'default privileges ' || coalesce(n.nspname, ''), d.defaclobjtype::text, d.defaclacl::text
    from pg_catalog.pg_default_acl as d left join pg_catalog.pg_namespace as n on n.oid = d.defaclnamespace
    """,
    """
    select 'event trigger ' || e.evtname, e.evtevent::text, e.evtfoid::regprocedure::text from pg_catalog.pg_event_trigger as e
    """,
)


def describe(dsn: str, *, without: tuple[str, ...] = ()) -> list[str]:
    """Every fact about our schemas, sorted; `without` names properties to leave out, such as `owner`."""
    with psycopg.connect(dsn, options="-c search_path=") as conn:
        facts = [fact for query in _QUERIES for fact in conn.execute(query)]
    return sorted(f"{thing}: {name} = {value}" for thing, name, value in facts if name not in without)
