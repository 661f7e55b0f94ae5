"""What half of the random histories have besides: drawn from a stream of its own, so that the others are what they were.

Partitions by list and range, with and without a default one; MATCH FULL; actions on some columns of a foreign key; identity
columns; counters; columns declared maintained; sessions within sessions.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from random import Random

from tests.journal.model.history import History, Transaction
from tests.journal.model.schema import KEYS, Column, ForeignKey, Partitions, Schema, Table, literal, quoted

_SERIAL = Column("serial", "int", identity="always")


def is_wide(seed: int) -> bool:
    return Random(f"broad half {seed}").random() < 0.5


def widened(seed: int, schema: Schema) -> Schema:
    """The schema with some of these, or as it is."""
    if not is_wide(seed):
        return schema
    random = Random(f"widened {seed}")
    total = next(((t.summary.of, t.summary.total, t.summary.group) for t in schema.tables if t.summary), ())
    return Schema(tuple(t if t.summary else _table(random, t, schema.tables, total) for t in schema.tables))


def _table(random: Random, table: Table, tables: Sequence[Table], total: Sequence[str]) -> Table:
    if random.random() < 0.4:
        table = _divided(random, table)
    if random.random() < 0.4:
        table = _matched(random, table)
    if random.random() < 0.3:
        table = _numbered(random, table)
    free = _free(table, tables) - (set(total[1:]) if total and total[0] == table.name else set())
    if random.random() < 0.4:
        table = _declared(random, table, [c for c in table.columns if c.name in free and c.kind == "int"], "counter")
    if random.random() < 0.3:
        declarable = [c for c in table.columns if c.name in free and not c.counter]
        table = _declared(random, table, declarable, "maintained")
    return table


def _free(table: Table, tables: Sequence[Table]) -> set[str]:
    """The columns that stand in no key, index, check or generated column."""
    taken = {*table.key, *(c for u in table.uniques for c in u.columns)}
    taken |= {c for i in table.indexes for c in i.columns} | {i.where.column for i in table.indexes if i.where}
    taken |= {c for f in table.foreign_keys for c in f.columns} | {c for k in table.checks for c in (k.left, k.right)}
    taken |= {c for t in tables for f in t.foreign_keys if f.parent == table.name for c in f.referenced}
    taken |= {c.name.removeprefix("twice ") for c in table.columns if c.generated is not None}
    return {c.name for c in table.stored if c.values and c.identity is None and not c.maintained} - taken


def _divided(random: Random, table: Table) -> Table:
    """Partitions by list or range, over any column of the key as far as the indexes allow."""
    if table.uniques or (table.indexes and table.partitions is None):
        return table
    column = table.column(table.key[0] if table.indexes else random.choice(table.key))
    one, two, three, four = (
        literal(v) for v in [v for v in KEYS[column.kind] if not v.isupper()][:4]
    )  # in any collation
    if random.random() < 0.5:
        bounds = (f"for values in ({one}, {two})", f"for values in ({three})")
        strategy, rest = "list", f"for values in ({four})"
    else:
        bounds = (f"for values from (minvalue) to ({two})", f"for values from ({two}) to ({four})")
        strategy, rest = "range", f"for values from ({four}) to (maxvalue)"
    last = rest if random.random() < 0.3 else "default"
    return replace(
        table, partitions=Partitions(column.name, strategy, (*bounds, last), random.random() < 0.4), _index={}
    )


def _matched(random: Random, table: Table) -> Table:
    """Foreign keys over several columns that match in full, or that set one of them where the parent goes."""
    keys = [replace(k, full=len(k.columns) > 1 and random.random() < 0.6) for k in table.foreign_keys]
    return replace(table, foreign_keys=tuple(_setting(random, table, key) for key in keys), _index={})


def _setting(random: Random, table: Table, key: ForeignKey) -> ForeignKey:
    settable = [c for c in key.columns if not table.column(c).not_null]
    if not settable or set(key.columns) & set(table.key) or random.random() < 0.5:
        return key
    return replace(key, on_delete=f"{random.choice(('set null', 'set default'))} ({quoted(random.choice(settable))})")


def _numbered(random: Random, table: Table) -> Table:
    """An identity column, of the key or besides it."""
    first = table.column(table.key[0])
    led = any(first.name in f.columns for f in table.foreign_keys)
    if first.kind != "int" or led or random.random() < 0.4:
        return replace(table, columns=(*table.columns, _SERIAL), _index={})
    given = replace(first, identity=random.choice(("always", "by default")))
    return replace(table, columns=tuple(given if c is first else c for c in table.columns), _index={})


def _declared(random: Random, table: Table, fit: Sequence[Column], what: str) -> Table:
    if not fit:
        return table
    chosen = random.choice(fit)
    declared = replace(chosen, counter=True) if what == "counter" else replace(chosen, maintained=True)
    return replace(table, columns=tuple(declared if c is chosen else c for c in table.columns), _index={})


def nested(history: History) -> History:
    """The history with some transactions of its session in a session that this one has opened, or in one of that one's."""
    random = Random(f"nested {history.seed}")
    if history.steps is not None or random.random() < 0.8:
        return history
    parents = random.choice(((("Sa", "S"),), (("Sa", "S"), ("Saa", "Sa"))))
    children = [child for child, _ in parents]
    found = tuple(_handed_on(random, t, children) for t in history.transactions)
    targets = history.targets if random.random() < 0.8 else ("Sa",)
    return replace(history, transactions=found, targets=targets, parents=parents)


def _handed_on(random: Random, transaction: Transaction, children: Sequence[str]) -> Transaction:
    likely = {"S": 0.5, "T": 0.2}.get(transaction.actor, 0.0)
    return replace(transaction, actor=random.choice(children)) if random.random() < likely else transaction
