"""Runs histories on a database and looks at what the tables hold after every step, without asking the journal."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import psycopg

from tests.journal.model.history import UNBOUND, Statement, Step, Transaction
from tests.journal.model.schema import RID, Schema, literal, quoted

Row = tuple[str | None, ...]
State = dict[str, dict[int, Row]]
Report = dict[str, Any]
Versions = dict[tuple[str, int], str]


def text(sql: str) -> bytes:
    """SQL that the checker has put together itself, in the form that psycopg takes without asking where it is from."""
    return sql.encode()


@dataclass(frozen=True)
class Event:
    """One step that took effect: who, the tables before and after, and the rows that were written without being changed."""

    actor: str
    before: State
    after: State
    rewritten: frozenset[tuple[str, int]] = frozenset()


# A constraint said no, or a shrunk history lacks what a statement needs.
FORGIVEN = (
    psycopg.errors.IntegrityError,
    psycopg.errors.DataError,
    psycopg.errors.ProgrammingError,
    psycopg.errors.ObjectNotInPrerequisiteState,
    psycopg.errors.ObjectInUse,
    psycopg.NotSupportedError,
)


class Confused(Exception):
    """The model cannot follow this history: two rows carry one identity."""


@dataclass
class World:
    """A schema of a history's own in a database with a journal, and everything that happened there."""

    conn: psycopg.Connection
    schema: Schema
    namespace: str
    sessions: dict[str, UUID] = field(default_factory=dict)
    events: list[Event] = field(default_factory=list)
    state: State = field(default_factory=dict)
    versions: Versions = field(default_factory=dict)
    steps: dict[str, UUID] = field(default_factory=dict)

    def build(self) -> None:
        self.conn.execute(text(f"create schema {self.namespace}"))
        with self.transaction():
            for statement in self.schema.ddl():
                self.conn.execute(text(statement))

    def cover(self) -> None:
        with self.transaction():
            for statement in self.schema.coverage():
                self.conn.execute(text(statement))

    def drop(self) -> None:
        with self.conn.transaction():
            for table in self.schema.tables:
                name = f"{self.namespace}.{quoted(table.name)}"
                self.conn.execute(text(f"select journal.uncover({literal(name)}::regclass)"))
            self.conn.execute("set local client_min_messages = warning")
            self.conn.execute(text(f"drop schema {self.namespace} cascade"))

    @contextmanager
    def transaction(self) -> Iterator[None]:
        with self.conn.transaction():
            self.conn.execute(text(f"set local search_path = {self.namespace}"))
            yield

    def start(self, setup: Sequence[str]) -> None:
        """The first rows, without those that do not fit; a copy of them in the seed tables."""
        for line in setup:
            with self.forgiving(), self.transaction():
                self.conn.execute(text(line))
        with self.transaction():
            for table in self.schema.tables:
                self.conn.execute(
                    text(f"insert into {quoted(table.name + '_seed')} select * from {quoted(table.name)}")
                )
        self.state, self.versions = self.look()

    def run(self, transactions: Sequence[Transaction], stepping: str | None = None) -> None:
        """Runs a course. What the actor `stepping` does is a step each time, told apart as `actor.number`."""
        for number, transaction in enumerate(transactions):
            before = self.state, self.versions, len(self.events)
            step = f"{stepping}.{number}" if transaction.actor == stepping else None
            if not self._happens(transaction, step):
                self.state, self.versions, events = before
                del self.events[events:]
                self.steps.pop(step or "", None)

    def _happens(self, transaction: Transaction, step: str | None) -> bool:
        try:
            self._run(transaction, step)
        except FORGIVEN:
            return False
        return True

    def _run(self, transaction: Transaction, as_step: str | None) -> None:
        actor = UNBOUND
        with self.transaction():
            for number, step in enumerate(transaction.steps):
                if number == transaction.unbound and transaction.actor != UNBOUND:
                    actor = as_step or transaction.actor
                    self._bind(transaction.actor, as_step)
                for statement in self._statements(step, guarded=transaction.guarded):
                    self._execute(statement, guarded=transaction.guarded)
                    self.note(actor)
            if as_step is not None:
                self.conn.execute("select journal.complete_step(%s)", [self.steps[as_step]])

    def _bind(self, actor: str, step: str | None) -> None:
        if step is None:
            self.conn.execute("select journal.bind(%s)", [self.sessions[actor]])
            return
        begun = self.conn.execute(
            "select step_id from journal.begin_step(%s, 'work')", [self.sessions[actor]]
        ).fetchone()
        assert begun is not None
        self.steps[step] = begun[0]

    def note(self, actor: str) -> None:
        """Notes what the tables hold by now as the work of an actor."""
        state, versions = self.state, self.versions
        self.state, self.versions = self.look()
        rewritten = {
            (table, rid)
            for (table, rid), version in self.versions.items()
            if versions.get((table, rid), version) != version and state[table][rid] == self.state[table][rid]
        }
        if rewritten or state != self.state:
            self.events.append(Event(actor, state, self.state, frozenset(rewritten)))

    def _statements(self, step: Step, *, guarded: bool) -> Iterator[str]:
        """What to run, in pieces after each of which the model looks: the parts of a savepoint that is released are pieces."""
        if isinstance(step, Statement):
            yield step.sql
        elif step.kind == "kept" and not guarded:
            yield from ("savepoint a", *(s.sql for s in step.statements), "release a")
        else:
            yield " ".join(step.lines())

    def _execute(self, sql: str, *, guarded: bool) -> None:
        if not guarded:
            self.conn.execute(text(sql))
            return
        with self.forgiving(), self.conn.transaction():
            self.conn.execute(text(sql))

    @contextmanager
    def forgiving(self) -> Iterator[None]:
        """What fails did not happen."""
        with suppress(*FORGIVEN):
            yield

    def open_sessions(self, actors: Sequence[str], parents: Sequence[tuple[str, str]]) -> None:
        above = dict(parents)
        for actor in actors:
            parent = self.sessions[above[actor]] if actor in above else None
            found = self.conn.execute("select journal.open_session(%s, parent => %s)", [actor, parent]).fetchone()
            assert found is not None
            self.sessions[actor] = found[0]

    def close_sessions(self, actors: Sequence[str]) -> None:
        for actor in actors:
            self.conn.execute("select journal.close_session(%s)", [self.sessions[actor]])

    def look(self) -> tuple[State, Versions]:
        """What all tables hold, by the identity of rows, and the version of each row."""
        state: State = {t.name: {} for t in self.schema.tables}
        versions: Versions = {}
        for table, rid, version, row in self.conn.execute(text(self._look_query()), prepare=True):
            if rid in state[table]:
                raise Confused(f"two rows of {table} with rid {rid}")
            state[table][rid] = tuple(row)
            versions[table, rid] = version
        return state, versions

    def _look_query(self) -> str:
        parts = []
        for table in self.schema.tables:
            values = ", ".join(f"{quoted(c.name)}::text" for c in table.stored)
            columns = f"{literal(table.name)}, {RID}, format('%s %s', ctid, xmin), array[{values}]"
            parts.append(f"select {columns} from {self.namespace}.{quoted(table.name)}")
        return " union all ".join(parts)

    def roll_back(
        self,
        ids: Sequence[UUID],
        mode: str,
        on_conflict: str,
        digest: str | None = None,
        steps: list[UUID] | None = None,
    ) -> Report:
        """One call of the rollback in a transaction of its own, under the application's search_path."""
        with self.transaction():
            found = self.conn.execute(
                "select journal.rollback_report(%s, %s, %s, %s, %s, shown => 1000)",
                [list(ids), steps, on_conflict, mode, digest],
            ).fetchone()
        assert found is not None
        report: Report = found[0]
        return report

    def recorded(self, ids: Sequence[UUID], steps: list[UUID] | None) -> int:
        """How many changes the journal holds of sessions, or of some of their steps."""
        found = self.conn.execute(
            "select count(*) from unnest(%s::uuid[]) as s (id), journal.session_changes(s.id) c"
            " where %s::uuid[] is null or c.step_id = any (%s)",
            [list(ids), steps, steps],
        ).fetchone()
        assert found is not None
        return int(found[0])

    def ledger(self) -> tuple[Any, ...]:
        """How much the journal holds: a dry run adds nothing."""
        found = self.conn.execute(
            "select (select count(*) from journal.sessions), (select count(*) from journal.rollbacks), "
            "(select count(*) from journal.statements)"
        ).fetchone()
        assert found is not None
        return tuple(found)
