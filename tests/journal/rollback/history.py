"""A small language for histories: what an agent did, what others did, and what rolling the agent back must come to.

`History.roll_back` plans, tries and applies, and holds every report to the promises that no case may break: the counts add
up and agree between the modes, every journaled change has one status, plan and dry run leave nothing, and no row that the
session did not touch differs afterwards.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, TypeVar
from uuid import UUID

import psycopg

from tests.rig import Cluster

STATUSES = ("restore", "remove", "reinsert", "adjust", "noop", "force", "conflict", "refuse")
CONFLICT = frozenset(
    ("table", "key", "column", "reason", "base", "ours", "theirs", "their", "constraint", "forced", "also")
)
PRODUCTS = (
    "create table products (id int primary key, price int, note text)",
    "insert into products values (1, 10, 'a'), (2, 10, 'b')",
)
Connection = psycopg.Connection[tuple[Any, ...]]
Key = tuple[str | None, ...]
Table = dict[Key, str]
T = TypeVar("T")


@dataclass(frozen=True)
class Report:
    """A report of `journal.rollback_report`, with zeros left out of the counts."""

    raw: Mapping[str, Any]

    @property
    def outcome(self) -> str:
        return str(self.raw["outcome"])

    @property
    def exit_code(self) -> int:
        return int(self.raw["exit_code"])

    @property
    def committed(self) -> bool:
        return bool(self.raw["committed"])

    @property
    def rollback_id(self) -> UUID:
        return UUID(self.raw["rollback_id"])

    @property
    def digest(self) -> str:
        return str(self.raw["plan_digest"])

    @property
    def rows(self) -> dict[str, int]:
        return _nonzero(self.raw["rows"])

    @property
    def changes(self) -> dict[str, int]:
        return _nonzero(self.raw["changes"])

    @property
    def conflicts(self) -> list[dict[str, Any]]:
        return list(self.raw["conflicts"])

    @property
    def conflict(self) -> dict[str, Any]:
        """The only conflict."""
        (only,) = self.conflicts
        return only

    def conflict_of(self, key: str) -> dict[str, Any]:
        """The conflict of the row with that key."""
        (found,) = [c for c in self.conflicts if key in c["key"].values()]
        return found

    @property
    def reasons(self) -> set[str]:
        return {c["reason"] for c in self.conflicts}

    @property
    def keys(self) -> set[str]:
        """The keys in conflict, each as `a=1 b=2`."""
        return {" ".join(f"{k}={v}" for k, v in (c["key"] or {}).items()) for c in self.conflicts}

    def table(self, name: str) -> dict[str, Any]:
        """What the report says of one table."""
        (found,) = [t for t in self.raw["tables"] if t["table"] == name]
        return dict(found)


def _nonzero(counts: Mapping[str, int]) -> dict[str, int]:
    return {status: counts[status] for status in STATUSES if counts[status]}


@dataclass
class History:
    """One database, the agent under test, everybody else, and the operator who rolls back."""

    dsn: str
    cluster: Cluster
    session: UUID | None = None
    start: dict[str, Table] = field(default_factory=dict)
    _open: list[Connection] = field(default_factory=list)
    _pool: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(max_workers=4))

    # -- who is there -------------------------------------------------------------------------------------------------

    def connect(self, dsn: str | None = None, **options: Any) -> Connection:
        """One more connection, with autocommit on; closed with the history."""
        made = psycopg.connect(dsn or self.dsn, autocommit=True, **options)
        self._open.append(made)
        return made

    @cached_property
    def agent_conn(self) -> Connection:
        return self.connect()

    @cached_property
    def others_conn(self) -> Connection:
        return self.connect(application_name="shop-web")

    @cached_property
    def operator(self) -> Connection:
        return self.connect()

    def role(self, prefix: str, *groups: str) -> str:
        """A new login role of the cluster with the given group roles; see `as_role`."""
        name: str = self.cluster.create_role(f"{prefix}_{secrets.token_hex(4)}")
        for group in groups:
            self.cluster.admin.execute(f"grant {group} to {name}".encode())
        return name

    def as_role(self, role: str) -> str:
        """The URL of this database as that role."""
        return self.cluster.dsn(self.one("select current_database()"), role=role)

    def close(self) -> None:
        for connection in self._open:
            connection.close()
        self._pool.shutdown()

    # -- what happens -------------------------------------------------------------------------------------------------

    def given(self, *statements: str, uncovered: Sequence[str] = (), **options: Mapping[str, Any]) -> None:
        """Set the scene: run DDL and data, then cover every table but `uncovered`; options are those of cover, by table."""
        for statement in statements:
            self.operator.execute(statement.encode())
        for table in self.tables():
            if table.removeprefix("public.") not in uncovered:
                self.cover(table, **options.get(table.removeprefix("public."), {}))
        self.start = self.snapshot()

    def cover(self, table: str, **options: Any) -> None:
        named = "".join(f", {name} => %({name})s" for name in options)
        self.operator.execute(f"select journal.cover(%(table)s::regclass{named})".encode(), {"table": table, **options})

    def open(self, agent: str = "pricing-bot", parent: UUID | None = None) -> UUID:
        """Open another session; `agent` works in it from here on."""
        row = self.agent_conn.execute("select journal.open_session(%s, parent => %s)", (agent, parent)).fetchone()
        assert row is not None
        self.session = row[0]
        return row[0]  # type: ignore[no-any-return]  # psycopg's rows are Any

    def agent(self, *statements: str, session: UUID | None = None) -> UUID:
        """One transaction of the agent's, bound to the session."""
        with self.acting(session) as (connection, session_id):
            for statement in statements:
                connection.execute(statement.encode())
        return session_id

    @contextmanager
    def acting(self, session: UUID | None = None) -> Iterator[tuple[Connection, UUID]]:
        """The agent's open transaction."""
        session_id = session or self.session or self.open()
        with self.agent_conn.transaction():
            self.agent_conn.execute("select journal.bind(%s)", (session_id,))
            yield self.agent_conn, session_id

    def step(self, tool: str, *statements: str, key: str | None = None) -> UUID:
        """One tool call of the agent's; its step id."""
        session_id = self.session or self.open()
        with self.agent_conn.transaction():
            row = self.agent_conn.execute(
                "select step_id from journal.begin_step(%s, %s, %s)", (session_id, tool, key)
            ).fetchone()
            assert row is not None
            for statement in statements:
                self.agent_conn.execute(statement.encode())
            self.agent_conn.execute("select journal.complete_step(%s)", (row[0],))
        return row[0]  # type: ignore[no-any-return]  # psycopg's rows are Any

    def others(self, *statements: str) -> None:
        """Somebody else's work, outside any session, each statement a transaction."""
        for statement in statements:
            self.others_conn.execute(statement.encode())

    def stop(self, *sessions: UUID) -> None:
        for session in sessions or ([self.session] if self.session else []):
            self.operator.execute("select journal.stop_session(%s, 'to be rolled back')", (session,))

    # -- rolling back -------------------------------------------------------------------------------------------------

    def report(self, mode: str, *sessions: UUID, **arguments: Any) -> Report:
        """One call of `journal.rollback_report`, nothing checked."""
        return report(self.operator, mode, self._named(sessions), **arguments)

    def _named(self, sessions: Sequence[UUID]) -> list[UUID]:
        named = list(sessions) or ([self.session] if self.session else [])
        assert named, "no session yet"
        return named

    def roll_back(
        self,
        mode: str = "refuse",
        *sessions: UUID,
        predicted: bool = True,
        followers: Sequence[str] = (),
        **arguments: Any,
    ) -> Report:
        """Stop, plan, dry-run, apply, and hold all three to the promises.

        predicted: whether the plan, which executes nothing, can know the outcome.
        followers: tables whose rows may change although the session did not touch them (they follow a key, or a trigger).
        """
        named = self._named(sessions)
        self.stop(*named)
        before = self.snapshot()
        journal_before = self._journal()
        plan = report(self.operator, "plan", named, on_conflict=mode, **arguments)
        tried = report(self.operator, "dry_run", named, on_conflict=mode, **arguments)
        assert (self.snapshot(), self._journal()) == (before, journal_before), "a plan or dry run left something behind"
        done = report(self.operator, "apply", named, on_conflict=mode, expected_digest=plan.digest, **arguments)
        for each in (plan, tried, done):
            check_counts(each)
        if predicted:
            assert plan.raw["rows"] == tried.raw["rows"]
            assert plan.raw["changes"] == tried.raw["changes"]
        self._check_agreement(tried, done)
        self._check_accounting(done, named, steps=arguments.get("step_ids"))
        self._check_untouched(done, before, followers)
        return done

    def redo(self, done: Report, mode: str = "refuse", **options: Any) -> Report:
        """Roll a rollback back."""
        return self.roll_back(mode, done.rollback_id, **options)

    def _check_agreement(self, tried: Report, done: Report) -> None:
        for part in ("rows", "changes", "tables", "outcome", "exit_code", "conflicts", "messages", "plan_digest"):
            assert tried.raw[part] == done.raw[part], part
        assert not tried.committed
        assert done.committed == (done.outcome in {"done", "partly"})

    def _check_accounting(self, done: Report, named: Sequence[UUID], steps: Sequence[UUID] | None) -> None:
        members = [UUID(s["session_id"]) for s in done.raw["sessions"]]
        assert set(named) <= set(members)
        journaled = self.one(
            """select coalesce(sum(rows), 0) from journal.statements
                where session_id = any (%s) and (%s::uuid[] is null or step_id = any (%s))""",
            members,
            steps,
            steps,
        )
        assert done.raw["changes"]["total"] == journaled
        recorded = self.operator.execute(
            "select rows, changes, undone, noop, left_as_is, report from journal.rollbacks where rollback_id = %s",
            (done.raw["rollback_id"],),
        ).fetchall()
        assert len(recorded) == done.committed
        for row in recorded:
            rows = done.raw["rows"]
            undone = rows["restore"] + rows["remove"] + rows["reinsert"] + rows["adjust"]
            assert row[:5] == (
                rows["total"],
                done.raw["changes"]["total"],
                undone,
                rows["noop"],
                rows["conflict"] + rows["refuse"],
            )
            residue = "select count(*) from journal.residue where rollback_id = %s and kind = 'row'"
            assert self.one(residue, done.rollback_id) == rows["conflict"]

    def _check_untouched(self, done: Report, before: dict[str, Table], followers: Sequence[str]) -> None:
        after = self.snapshot()
        if not done.committed:
            assert after == before, "a rollback that did not happen changed rows"
            return
        touched = self._touched([UUID(s["session_id"]) for s in done.raw["sessions"]])
        left = {(c["table"], tuple(c["key"].values())) for c in done.conflicts if c["key"] and not c["forced"]}
        for table, rows in before.items():
            if table.removeprefix("public.") in followers:
                continue
            for key in rows.keys() | after[table].keys():
                if key not in touched.get(table, set()) or (table, key) in left:
                    assert rows.get(key) == after[table].get(key), f"{table} {key} is none of the rollback's business"

    def _touched(self, sessions: Sequence[UUID]) -> dict[str, set[Key]]:
        found = self.operator.execute(_TOUCHED, (list(sessions),)).fetchall()
        touched: dict[str, set[Key]] = {}
        for table, key in found:
            touched.setdefault(table, set()).add(tuple(key))
        return touched

    # -- looking ------------------------------------------------------------------------------------------------------

    def one(self, query: str, *parameters: object) -> Any:
        """The only value of a query."""
        ((value,),) = self.operator.execute(query.encode(), parameters or None).fetchall()
        return value

    def rows(self, query: str) -> set[tuple[Any, ...]]:
        """The rows of a query, as a set: no test relies on an order."""
        found = self.operator.execute(query.encode()).fetchall()
        assert len(found) == len(set(found))
        return set(found)

    def tables(self) -> list[str]:
        """Every user table."""
        return [name for (name,) in self.operator.execute(_TABLES).fetchall()]

    def snapshot(self) -> dict[str, Table]:
        """Every row of every user table as text, by its key (by itself, where there is none)."""
        return {table: self._rows_by_key(table) for table in self.tables()}

    def _rows_by_key(self, table: str) -> Table:
        key = self.one(_KEY_TEXTS, table)
        return {
            tuple(k): row
            for k, row in self.operator.execute(f"select array[{key}]::text[], format('%s', t) from {table} t".encode())
        }

    def _journal(self) -> dict[str, int]:
        """How much there is in each of our own tables."""
        counted = ("statement", "binding", "rollback", "residue_item", "left_image", "left_step", "reversal", "session")
        return {name: self.one(f"select count(*) from journal.{name}") for name in counted}

    def expect_start(self, *tables: str) -> None:
        """These tables, or all, hold exactly what they held before anything happened."""
        now = self.snapshot()
        for table in tables or tuple(self.start):
            name = table if "." in table else f"public.{table}"
            assert now[name] == self.start[name], name

    # -- at the same time ---------------------------------------------------------------------------------------------

    def meanwhile(self, work: Callable[[], T]) -> Future[T]:
        """Start something that may have to wait."""
        return self._pool.submit(work)

    def until_waiting(self, connection: Connection) -> None:
        """Come back when that connection's backend waits for somebody's lock."""
        pid = connection.info.backend_pid
        self.others_watch.execute(_UNTIL_WAITING.replace("PID", str(pid)).encode())

    @cached_property
    def others_watch(self) -> Connection:
        return self.connect()


def report(connection: Connection, mode: str, sessions: Sequence[UUID], **arguments: Any) -> Report:
    """`journal.rollback_report` as whoever is connected."""
    named = "".join(f", {name} => %({name})s" for name in arguments)
    query = f"select journal.rollback_report(%(sessions)s::uuid[], mode => %(mode)s{named})"
    row = connection.execute(query.encode(), {"sessions": list(sessions), "mode": mode, **arguments}).fetchone()
    assert row is not None
    return Report(row[0])


def check_counts(report: Report) -> None:
    """Rows and changes add up over the statuses and over the tables; what is shown is what is counted."""
    for counts in (report.raw["rows"], report.raw["changes"]):
        assert set(counts) == {"total", *STATUSES}
        assert counts["total"] == sum(counts[s] for s in STATUSES)
        assert min(counts.values()) >= 0
    for status in ("total", *STATUSES):
        assert report.raw["rows"][status] == sum(t["rows"].get(status, 0) for t in report.raw["tables"]), status
    assert report.raw["changes"]["total"] >= report.raw["rows"]["total"]
    assert report.raw["conflicts_shown"] == len(report.conflicts)
    assert {frozenset(c) for c in report.conflicts} <= {CONFLICT}


_KEY_TEXTS = """
    select coalesce(string_agg(format('case when t.%%1$I is distinct from null then format(''%%%%s'', t.%%1$I) end', a.attname),
                               ', ' order by k.n),
                    'format(''%%s'', t), row_number() over (partition by format(''%%s'', t))::text')
      from pg_index i, unnest(i.indkey::int2[]) with ordinality as k (attnum, n), pg_attribute a
     where i.indrelid = %s::regclass and i.indisprimary and k.n <= i.indnkeyatts
       and a.attrelid = i.indrelid and a.attnum = k.attnum"""
_TOUCHED = """
    select coalesce(journal.qualified_name(c.relation), c.table_name), k.key
      from journal.changes c
     cross join (values ('before'), ('after')) as s (side)
     cross join lateral (select case s.side when 'before' then c.before else c.after end as image) i
     cross join lateral (
           select array_agg(i.image ->> a.attname order by n) as key
             from pg_index x, unnest(x.indkey::int2[]) with ordinality as k (attnum, n), pg_attribute a
            where x.indrelid = c.relation and x.indisprimary and n <= x.indnkeyatts
              and a.attrelid = c.relation and a.attnum = k.attnum) k
     where c.session_id = any (%s) and i.image is not null"""
_TABLES = """
    select format('%I.%I', n.nspname, c.relname) from pg_class c join pg_namespace n on n.oid = c.relnamespace
     where c.relkind in ('r', 'p') and not c.relispartition and c.relpersistence <> 't'
       and n.nspname not in ('journal', 'outbox', 'relay', 'information_schema') and n.nspname not like 'pg\\_%' order by 1"""
_UNTIL_WAITING = """
    do $$ begin
        for i in 1 .. 2000 loop
            if cardinality(pg_blocking_pids(PID)) > 0 then return; end if;
            perform pg_sleep(0.005);
        end loop;
        raise 'PID never waited';
    end $$"""
