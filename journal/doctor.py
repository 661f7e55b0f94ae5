"""Looks for what would make the journal's promises hollow, and says what to do about each finding.

Every check is one query on the catalog and the public views. A finding that is an error means that something is broken now;
a warning that something will surprise somebody one day; a note is worth knowing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Literal

import psycopg
from psycopg.rows import dict_row

from outbox.pg.resources import GROUP_ROLES, expected_revision

Level = Literal["error", "warning", "note"]
Row = dict[str, Any]
Connection = psycopg.Connection[Any]


@dataclass(frozen=True)
class Finding:
    """Something to know: what it is, and the command or advice that mends it. `cover` names a table that covering again mends."""

    level: Level
    what: str
    fix: str | None = None
    cover: str | None = None

    def as_json(self) -> dict[str, str | None]:
        return {"level": self.level, "what": self.what, "fix": self.fix}


def examine(conn: Connection) -> list[Finding]:
    """All findings, errors first. `conn` is a psycopg connection with autocommit on; nothing is changed."""
    version = list(check_version(conn))
    if version:
        return version  # the other checks read what a migrated database has
    found = [finding for check in CHECKS for finding in check(conn)]
    order: dict[Level, int] = {"error": 0, "warning": 1, "note": 2}
    return sorted(found, key=lambda finding: order[finding.level])


def check_version(conn: Connection) -> Iterator[Finding]:
    """The database is at the revision that this code expects."""
    expected = expected_revision()
    if _one(conn, "select to_regclass('journal.schema_version') is null as missing")["missing"]:
        yield Finding("error", "this database is not migrated", "journal migrate")
        return
    found = _one(conn, "select version_num from journal.schema_version")["version_num"]
    if found < expected:
        yield Finding(
            "error", f"the database is at schema revision {found}, this version expects {expected}", "journal migrate"
        )
    elif found > expected:
        yield Finding(
            "error", f"the database is at schema revision {found}, newer than {expected}", "upgrade agent-journal"
        )


def check_roles(conn: Connection) -> Iterator[Finding]:
    """The group roles exist; who has the owner's rights, with which all that is recorded can be changed."""
    there = {
        row["rolname"]
        for row in _rows(conn, "select rolname from pg_catalog.pg_roles where rolname = any (%s)", [list(GROUP_ROLES)])
    }
    missing = [name for name in GROUP_ROLES if name not in there]
    if missing:
        yield Finding("note", f"roles that do not exist: {', '.join(missing)}", "journal migrate --roles-sql")
    owner = _one(conn, _OWNER)
    if owner["rolsuper"]:
        fix = "migrate without --no-roles, so that journal_owner owns it, or give the schemas to a role that is no superuser"
        yield Finding("warning", f"the journal belongs to {owner['rolname']}, a superuser", fix)
    others = [row["rolname"] for row in _rows(conn, _HAVING_THE_OWNERS_RIGHTS)]
    if others:
        what = f"may change what is recorded, as members of {owner['rolname']}: {', '.join(others)}"
        yield Finding(
            "note", what, f"revoke {owner['rolname']} from whoever neither migrates nor maintains the journal"
        )


def check_coverage(conn: Connection) -> Iterator[Finding]:
    """Covered tables are covered as they are now; the others are known."""
    for row in _rows(conn, _COVERED_WITH_REASON):
        level: Level = "warning" if row["status"] == "covered" else "error"
        yield Finding(level, f"{row['table_name']}: {row['reason']}", row["fix"], cover=row["table_name"])
    uncovered = _one(conn, _UNCOVERED)
    if uncovered["tables"]:
        what = f"tables that are not covered: {uncovered['tables']}, of which {uncovered['never']} cannot be"
        yield Finding("note", what, "journal coverage")


def check_cascades(conn: Connection) -> Iterator[Finding]:
    """A delete that cascades out of the covered tables is a delete that nobody can undo."""
    for row in _rows(conn, _CASCADES):
        what = f"a delete in {row['parent']} reaches {row['child']}, which is not covered ({row['constraint_name']})"
        yield Finding("warning", what, f"journal cover {row['child']}")


def check_publications(conn: Connection) -> Iterator[Finding]:
    """A subscriber that also holds the journal's tables would record what is replicated to it twice, or refuse it."""
    for row in _rows(conn, _PUBLICATIONS):
        fix = f"publish named tables or schemas, without {row['schemas']}"
        yield Finding("warning", f"publication {row['pubname']} includes tables of {row['schemas']}", fix)


def check_subscriptions(conn: Connection) -> Iterator[Finding]:
    """Rows that logical replication applies do not fire the statement triggers that record changes."""
    for row in _rows(conn, _SUBSCRIBED):
        what = f"{row['table_name']}: rows that a subscription applies are not recorded"
        yield Finding("warning", what, f"journal the table where it is written, or journal uncover {row['table_name']}")


def check_agents(conn: Connection) -> Iterator[Finding]:
    """A named agent role must not be able to get around capture or the journal, or to shadow tables with temporary ones."""
    # The list of agents is private to the journal's owner; others are told nothing about it.
    if not _one(conn, "select has_table_privilege('journal.agent_role', 'select') as may_look")["may_look"]:
        return
    if _one(conn, "select not journal.has_agents() and exists (select from journal.agent_role) as unnoticed")[
        "unnoticed"
    ]:
        what = "agent roles were loaded with triggers disabled: none of them is refused"
        yield Finding("error", what, "insert into journal.agent_role select role_name from journal.agent_role limit 0")
    for row in _rows(conn, _AGENTS):
        name = row["rolname"]
        if row["rolsuper"]:
            yield Finding(
                "error",
                f"agent role {name} is a superuser: it can switch capture off",
                "give the agent a role of its own",
            )
        if row["owns"]:
            yield Finding(
                "error",
                f"agent role {name} owns covered tables: it can switch capture off",
                "let another role own the tables",
            )
        if row["owner"]:
            what = f"agent role {name} may act as the owner of the journal: it can change what was recorded"
            yield Finding("error", what, f"revoke {row['owner']} from {name}")
        if row["operator"]:
            what = f"agent role {name} is an operator: it can stop and roll back the sessions of others"
            yield Finding("warning", what, f"revoke journal_operator from {name}")
        if row["triggers"]:
            what = f"agent role {name} may put triggers on covered tables: {', '.join(row['triggers'])}"
            yield Finding("error", what, f"revoke trigger on … from {name}")
        if row["temporary"]:
            yield Finding(
                "warning", f"agent role {name} may make temporary tables", "revoke temporary on database … from public"
            )


def check_sessions(conn: Connection) -> Iterator[Finding]:
    """Sessions that nobody closed."""
    abandoned = _one(conn, "select count(*) as n from journal.sessions where status = 'abandoned'")["n"]
    if abandoned:
        yield Finding("note", f"sessions that nobody closed, counted as abandoned: {abandoned}", "journal sessions")
    residue = _one(conn, "select count(*) as n from journal.residue where resolved_at is null")["n"]
    if residue:
        yield Finding("note", f"residue of rollbacks that nobody has resolved: {residue}", "journal residue --open")


CHECKS: tuple[Callable[[Connection], Iterator[Finding]], ...] = (
    check_roles,
    check_coverage,
    check_cascades,
    check_publications,
    check_subscriptions,
    check_agents,
    check_sessions,
)

_OWNER = """
    select r.rolname, r.rolsuper
      from pg_catalog.pg_namespace as n join pg_catalog.pg_roles as r on r.oid = n.nspowner
     where n.nspname = 'journal'"""

_HAVING_THE_OWNERS_RIGHTS = """
    select r.rolname
      from pg_catalog.pg_namespace as n join pg_catalog.pg_roles as r on pg_catalog.pg_has_role(r.oid, n.nspowner, 'usage')
     where n.nspname = 'journal' and r.rolcanlogin and not r.rolsuper and r.oid <> n.nspowner
     order by 1"""

_COVERED_WITH_REASON = """
    select table_name, status, reason, fix
      from journal.coverage
     where status in ('gap', 'stale') or status = 'covered' and reason is not null
     order by 1"""

_UNCOVERED = """
    select count(*) as tables, count(*) filter (where status = 'uncoverable') as never
      from journal.coverage
     where status in ('uncovered', 'uncoverable')"""

_CASCADES = """
    with recursive reached as (
        select c.conname::text as constraint_name, c.confrelid as parent, c.conrelid as child
          from pg_catalog.pg_constraint as c
          join journal.coverage as v on v.relation = c.confrelid and v.status not in ('uncovered', 'uncoverable')
         where c.contype = 'f' and c.confdeltype in ('c', 'n', 'd')
    )
    select distinct r.constraint_name, r.parent::regclass::text as parent, r.child::regclass::text as child
      from reached as r
      join journal.coverage as v on v.relation = r.child and v.status in ('uncovered', 'uncoverable')
     order by child, parent"""

_PUBLICATIONS = """
    select p.pubname, string_agg(distinct t.schemaname, ', ' order by t.schemaname) as schemas
      from pg_catalog.pg_publication as p
      join pg_catalog.pg_publication_tables as t using (pubname)
     where t.schemaname in ('journal', 'outbox', 'relay')
     group by p.pubname
     order by p.pubname"""

_SUBSCRIBED = """
    select v.table_name
      from pg_catalog.pg_subscription_rel as s
      join journal.coverage as v on v.relation = s.srrelid and v.status not in ('uncovered', 'uncoverable')
     group by v.table_name
     order by v.table_name"""

_AGENTS = """
    select r.rolname, r.rolsuper,
           exists (select from journal.coverage as v join pg_catalog.pg_class as c on c.oid = v.relation
                    where v.status not in ('uncovered', 'uncoverable') and not r.rolsuper
                      and pg_has_role(r.oid, c.relowner, 'member')) as owns,
           (select o.rolname from pg_catalog.pg_namespace as n join pg_catalog.pg_roles as o on o.oid = n.nspowner
             where n.nspname = 'journal' and not r.rolsuper and pg_has_role(r.oid, o.oid, 'member')) as owner,
           exists (select from pg_catalog.pg_roles as o
                    where o.rolname = 'journal_operator' and not r.rolsuper and pg_has_role(r.oid, o.oid, 'member')) as operator,
           array(select v.table_name from journal.coverage as v join pg_catalog.pg_class as c on c.oid = v.relation
                  where v.status not in ('uncovered', 'uncoverable') and has_table_privilege(r.oid, v.relation, 'TRIGGER')
                    and not pg_has_role(r.oid, c.relowner, 'member') order by v.table_name) as triggers,
           has_database_privilege(r.oid, current_database(), 'TEMPORARY') as temporary
      from pg_catalog.pg_roles as r
     where r.rolname in (select a.role_name from journal.agent_role as a)"""


def _rows(conn: Connection, query: str, values: list[object] | None = None) -> list[Row]:
    with conn.cursor(row_factory=dict_row) as cursor:
        return list(cursor.execute(query, values))


def _one(conn: Connection, query: str) -> Row:
    return _rows(conn, query)[0]
