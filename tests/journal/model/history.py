"""Histories as data: transactions of sessions and of unbound writers, made of plain SQL statements.

A history prints as SQL, and any part of it may be left out: a statement that fails by then is one that did not happen.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from tests.journal.model.schema import Schema

UNBOUND = "U"


@dataclass(frozen=True)
class Statement:
    sql: str

    def lines(self) -> Iterator[str]:
        yield self.sql + ";"


@dataclass(frozen=True)
class Block:
    """Statements in a savepoint that is released (`kept`) or rolled back (`undone`), or in a plpgsql block that fails."""

    kind: str
    statements: tuple[Statement, ...]

    def lines(self) -> Iterator[str]:
        body = [line for s in self.statements for line in s.lines()]
        if self.kind == "caught":
            yield (
                "do $do$ begin "
                + " ".join(body)
                + " raise exception 'undo'; exception when others then null; end $do$;"
            )
            return
        yield "savepoint a;"
        yield from body
        yield "release a;" if self.kind == "kept" else "rollback to a; release a;"


Step = Statement | Block


@dataclass(frozen=True)
class Transaction:
    """One transaction. Its first `unbound` steps come before it is bound to its session; `guarded`, it survives what fails."""

    actor: str
    steps: tuple[Step, ...]
    guarded: bool = True
    unbound: int = 0

    def lines(self) -> Iterator[str]:
        yield f"begin;  -- {self.actor}"
        for number, step in enumerate(self.steps):
            if number == self.unbound and self.actor != UNBOUND:
                yield f"select journal.bind(:'{self.actor}');"
            yield from step.lines()
        yield "commit;"


@dataclass(frozen=True)
class History:
    """A schema, the rows it starts with, what happened, and which sessions are to be rolled back.

    With `steps` each transaction of the session is a step, and only those with these numbers are rolled back. `parents` names
    sessions that another one opened, each before its own; the rollback of that one takes them back too.
    """

    schema: Schema
    setup: tuple[str, ...]
    transactions: tuple[Transaction, ...]
    targets: tuple[str, ...] = ("S",)
    late: tuple[Transaction, ...] = ()
    seed: int | None = None
    steps: tuple[int, ...] | None = None
    parents: tuple[tuple[str, str], ...] = ()

    @property
    def actors(self) -> list[str]:
        """The sessions, those first that open others."""
        family = {actor for pair in self.parents for actor in pair}
        found = {t.actor for t in (*self.transactions, *self.late)} - {UNBOUND}
        children = [child for child, _ in self.parents]
        return [*sorted((found | family | set(self.targets)) - set(children)), *children]

    @property
    def members(self) -> tuple[str, ...]:
        """The sessions to be rolled back, with those that they opened."""
        found = list(self.targets)
        for child, parent in self.parents:
            if parent in found and child not in found:
                found.append(child)
        return tuple(found)

    def __str__(self) -> str:
        """A psql script, up to the rollback."""
        above = {child: f", parent => :'{parent}'" for child, parent in self.parents}
        opened = [f"select journal.open_session('{a}'{above.get(a, '')}) as \"{a}\" \\gset" for a in self.actors]
        closed = [f"select journal.close_session(:'{a}');" for a in self.actors]
        setup = [line + ";" for line in (*self.schema.ddl(), *self.setup, *self.schema.coverage())]
        course = [line for n, t in enumerate(self.transactions) for line in (*self._marks(n), *t.lines())]
        targets = ", ".join(f":'{a}'" for a in self.targets)
        rollback = f"select jsonb_pretty(journal.rollback_report(array[{targets}]::uuid[]));"
        late = ["-- between the rollback and its own rollback:"] * bool(self.late) + [
            line for t in self.late for line in t.lines()
        ]
        return "\n".join([f"-- seed {self.seed}", *setup, *opened, *course, *closed, rollback, *late])

    def _marks(self, number: int) -> Iterator[str]:
        if self.steps is not None and self.transactions[number].actor in self.targets:
            yield f"-- a step of its own{', to be rolled back' if number in self.steps else ''}:"


def smaller(history: History) -> Iterator[History]:
    """Histories with one thing less, largest things first."""
    for late in _smaller_courses(history.late):
        yield replace(history, late=late)
    for transactions in _smaller_courses(history.transactions):
        if history.steps is None or len(transactions) == len(history.transactions):
            yield replace(history, transactions=transactions)
    for n in range(len(history.setup)):
        yield replace(history, setup=history.setup[:n] + history.setup[n + 1 :])
    if len(history.targets) > 1:
        yield replace(history, targets=history.targets[:1])
    if history.parents:
        yield replace(history, parents=(), targets=(history.parents[0][1],), transactions=_in_one(history))
    for schema in _smaller_schemas(history.schema):
        yield replace(history, schema=schema)


def _in_one(history: History) -> tuple[Transaction, ...]:
    """The transactions, those of sessions within a session as its own."""
    top = {child: history.parents[0][1] for child, _ in history.parents}
    return tuple(replace(t, actor=top.get(t.actor, t.actor)) for t in history.transactions)


def _smaller_courses(course: tuple[Transaction, ...]) -> Iterator[tuple[Transaction, ...]]:
    for n in range(len(course)):
        yield course[:n] + course[n + 1 :]
    for n, transaction in enumerate(course):
        for less in _smaller_transactions(transaction):
            yield (*course[:n], less, *course[n + 1 :])


def _smaller_transactions(transaction: Transaction) -> Iterator[Transaction]:
    steps = transaction.steps
    for n, step in enumerate(steps):
        unbound = min(transaction.unbound - (n < transaction.unbound), len(steps) - 2)
        if len(steps) > 1:
            yield replace(transaction, steps=steps[:n] + steps[n + 1 :], unbound=max(unbound, 0))
        if isinstance(step, Block) and step.kind == "kept":
            yield replace(transaction, steps=(*steps[:n], *step.statements, *steps[n + 1 :]), unbound=0)
        if isinstance(step, Block) and len(step.statements) > 1:
            for m in range(len(step.statements)):
                less = Block(step.kind, step.statements[:m] + step.statements[m + 1 :])
                yield replace(transaction, steps=(*steps[:n], less, *steps[n + 1 :]))
    if transaction.unbound:
        yield replace(transaction, unbound=0)
    if transaction.guarded:
        yield replace(transaction, guarded=False)


def _smaller_schemas(schema: Schema) -> Iterator[Schema]:
    tables = schema.tables
    for n, table in enumerate(tables):
        if not any(f.parent == table.name for t in tables if t is not table for f in t.foreign_keys):
            used = any(t.summary is not None and t.summary.of == table.name for t in tables)
            if len(tables) > 1 and not used:
                yield Schema(tables[:n] + tables[n + 1 :])
        for name in ("foreign_keys", "uniques", "indexes", "checks", "triggers"):
            part = getattr(table, name)
            for m in range(len(part)):
                less = replace(table, **{name: part[:m] + part[m + 1 :]}, _index={})
                yield Schema((*tables[:n], less, *tables[n + 1 :]))
        if table.partitions is not None:
            yield Schema((*tables[:n], replace(table, partitions=None, _index={}), *tables[n + 1 :]))
        for m, column in enumerate(table.columns):
            if column.counter or column.identity == "by default" or (column.maintained and column.values):
                plain = replace(
                    column,
                    counter=False,
                    identity=None,
                    maintained=False,
                    not_null=column.not_null or column.identity is not None,
                )
                less = replace(table, columns=(*table.columns[:m], plain, *table.columns[m + 1 :]), _index={})
                yield Schema((*tables[:n], less, *tables[n + 1 :]))
            if column.generated is not None or column.identity == "always":
                less = replace(table, columns=table.columns[:m] + table.columns[m + 1 :], _index={})
                yield Schema((*tables[:n], less, *tables[n + 1 :]))
