"""Random schemas and random histories, each a function of its seed."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from random import Random

from tests.journal.model.history import UNBOUND, Block, History, Statement, Step, Transaction
from tests.journal.model.schema import (
    KEYS,
    NUMBERS,
    RID,
    TRIGGER_COLUMNS,
    VALUES,
    Check,
    Column,
    ForeignKey,
    Index,
    Schema,
    Summary,
    Table,
    Unique,
    Where,
    hashed,
    literal,
    names,
    quoted,
)
from tests.journal.model.widen import is_wide, nested, widened

_TABLE_NAMES = ("a", "b", "c", "old", "New rows", "order", "ünï")
_COLUMN_NAMES = ("v", "w", "x", "note", "old", "n", "Price", "t", "row")
_ACTIONS = ("no action", "restrict", "cascade", "set null", "set default")
_TIMINGS = ("", "", "deferrable", "deferrable initially deferred")
_FITTING = {"text": ("lower",), "int": ("abs", "coalesce"), "numeric": ("abs", "coalesce"), "jsonb": ("a of",)}
_RID = Column(RID, "bigint", not_null=True, default="nextval('rid_seq')")


def random_schema(seed: int) -> Schema:
    """A schema of one to three tables, and perhaps a summary of one of them."""
    random = Random(f"schema {seed}")
    tables: list[Table] = []
    for name in random.sample(_TABLE_NAMES, random.choice((1, 2, 2, 3))):
        tables.append(_table(random, name, tables))
    summary = _summary(random, tables) if random.random() < 0.25 else None
    random = Random(f"partitions {seed}")
    tables = [
        t if t.uniques or random.random() < 0.85 else replace(t, partitions=hashed(t.key[0]), _index={}) for t in tables
    ]
    random = Random(f"indexes {seed}")
    tables = [t if random.random() < 0.6 else _indexed(random, t) for t in tables]
    random = Random(f"references {seed}")
    tables = [_referring(random, t, tables[:n]) if random.random() < 0.3 else t for n, t in enumerate(tables)]
    return widened(seed, Schema((*tables, summary) if summary else tuple(tables)))


def _referring(random: Random, table: Table, before: Sequence[Table]) -> Table:
    """A table with one more foreign key, to columns that are unique without being the key."""
    fit = [(t, u) for t in before for u in t.uniques if not u.timing]
    if not fit:
        return table
    parent, unique = random.choice(fit)
    pointing = [replace(parent.column(c), name=f"g{c}", not_null=False, default=None) for c in unique.columns]
    actions = random.choice(_ACTIONS), random.choice(("cascade", *_ACTIONS))
    key = ForeignKey(tuple(c.name for c in pointing), parent.name, unique.columns, *actions, random.choice(_TIMINGS))
    keys, columns = (*table.foreign_keys, key), (*table.columns, *pointing)
    return replace(table, columns=columns, foreign_keys=keys, _index={})


def _indexed(random: Random, table: Table) -> Table:
    """A table with an index that is partial, has expressions, takes nulls for equal, or excludes."""
    if not table.partitions and random.random() < 0.2:
        span = Column("span", "int4range", values=VALUES["int4range"])
        index = Index(("span",), (None,), _where(random, table), excluding="&&", timing=random.choice(_TIMINGS))
        return replace(table, columns=(*table.columns, span), indexes=(index,), _index={})
    fit = [c for c in table.stored if c.values and c.kind != "bool" and c.name not in table.key]
    if not fit:
        return table
    generated = next((c for c in table.columns if c.generated is not None), None)
    if generated is not None and random.random() < 0.5:
        source = (table.column(generated.name.removeprefix("twice ")),)
        index = Index((source[0].name,), ("twice",), _where(random, table), nulls_distinct=random.random() < 0.7)
        return table if table.partitions else replace(table, indexes=(index,), _index={})
    columns = random.sample(fit, min(len(fit), random.choice((1, 1, 2))))
    expressions = [random.choice([None, *_FITTING.get(c.kind, ())]) for c in columns]
    where = _where(random, table)
    if not table.partitions and random.random() < 0.2:
        timing = random.choice(_TIMINGS)
        index = Index(tuple(c.name for c in columns), tuple(expressions), where, excluding="=", timing=timing)
    else:
        part = [table.column(table.key[0])] if table.partitions or random.random() < 0.15 else []
        listed, plain = tuple(c.name for c in (*part, *columns)), (*(None for _ in part), *expressions)
        index = Index(listed, plain, where, nulls_distinct=random.random() < 0.7)
    return replace(table, indexes=(index,), _index={})


def _where(random: Random, table: Table) -> Where | None:
    """A predicate, over the key or another column: of the rows that it holds for, one may have what the index lists."""
    if random.random() < 0.35:
        return None
    column = random.choice([c for c in table.stored if c.values])
    return Where(column.name, random.choice(("=", "<>")), random.choice(column.values))


def _table(random: Random, name: str, before: Sequence[Table]) -> Table:
    kinds = random.choice((("int",), ("int",), ("text",), ("uuid",), ("numeric",), ("int", "text"), ("int", "int")))
    key = [
        Column(f"k{n}", kind, not_null=True, values=_key_values(kind, len(kinds))) for n, kind in enumerate(kinds, 1)
    ]
    values = [_value_column(random, c) for c in random.sample(_COLUMN_NAMES, random.randint(1, 3))]
    kept = [k for k in TRIGGER_COLUMNS if random.random() < 0.12]
    if "touch" in kept and "touch_always" in kept:
        kept.remove("touch_always")
    foreign_keys, pointing = _foreign_keys(random, name, key, before)
    columns = [*key, *values, *pointing, *(TRIGGER_COLUMNS[k] for k in kept)]
    numbers = [c.name for c in values if c.kind in NUMBERS]
    if numbers and random.random() < 0.2:
        columns.append(Column(f"twice {numbers[0]}", "numeric", generated=f"{quoted(numbers[0])} * 2"))
    if random.random() < 0.3:
        random.shuffle(columns)
    return Table(
        name,
        (_RID, *columns),
        tuple(c.name for c in key),
        uniques=_uniques(random, values),
        checks=_checks(random, numbers),
        foreign_keys=foreign_keys,
        triggers=tuple(kept),
    )


def _key_values(kind: str, width: int) -> tuple[str, ...]:
    return KEYS[kind] if width == 1 else KEYS[kind][:3]


def _value_column(random: Random, name: str) -> Column:
    kind = random.choice(("int", "int", "int", "text", "text", "numeric", "jsonb", "bool", "int[]"))
    not_null = random.random() < 0.25
    default = literal(random.choice(VALUES[kind])) if random.random() < 0.3 or not_null else None
    return Column(name, kind, not_null=not_null, default=default, values=VALUES[kind])


def _uniques(random: Random, values: Sequence[Column]) -> tuple[Unique, ...]:
    fit = [c.name for c in values if c.kind not in {"bool", "jsonb"}]
    if not fit or random.random() < 0.6:
        return ()
    width = 2 if len(fit) > 1 and random.random() < 0.3 else 1
    return (Unique(tuple(random.sample(fit, width)), random.choice(_TIMINGS)),)


def _checks(random: Random, numbers: Sequence[str]) -> tuple[Check, ...]:
    if not numbers or random.random() < 0.7:
        return ()
    if len(numbers) > 1:
        return (Check(numbers[0], random.choice(("<>", ">=")), numbers[1]),)
    return (Check(numbers[0], "<>", random.choice(VALUES["int"])),)


def _foreign_keys(
    random: Random, name: str, key: list[Column], before: Sequence[Table]
) -> tuple[tuple[ForeignKey, ...], list[Column]]:
    """Foreign keys to earlier tables or to the table itself, on columns of their own or, now and then, on the table's key."""
    found: list[ForeignKey] = []
    columns: list[Column] = []
    parents = [(t.name, [t.column(k) for k in t.key]) for t in before]
    for number in range(random.choice((0, 1, 1, 2))):
        parent, referenced = random.choice([*parents, (name, key)])
        actions = random.choice(_ACTIONS), random.choice(("cascade", "cascade", *_ACTIONS))
        timing = random.choice(_TIMINGS)
        same = [c.kind for c in referenced] == [c.kind for c in key]
        if parent != name and same and random.random() < 0.25 and not columns:
            own = tuple(c.name for c in key)
            actions = (actions[0] if not actions[0].startswith("set") else "cascade", "cascade")
        else:
            not_null = random.random() < 0.15 and "set null" not in actions and parent != name
            default = random.random() < 0.5
            pointing = [
                Column(
                    f"f{number}{c.name}", c.kind, not_null, literal(c.values[0]) if default else None, values=c.values
                )
                for c in referenced
            ]
            columns.extend(pointing)
            own = tuple(c.name for c in pointing)
        found.append(ForeignKey(own, parent, tuple(c.name for c in referenced), *actions, timing))
    return tuple(found), columns


def _summary(random: Random, tables: Sequence[Table]) -> Table | None:
    fit = [
        (t, c.name) for t in tables for c in t.columns if c.kind == "int" and c.generated is None and not c.maintained
    ]
    if not fit:
        return None
    of, group = random.choice(fit)
    total = random.choice([c.name for c in of.columns if c.kind == "int" and c.generated is None and not c.maintained])
    columns = (_RID, Column("grp", "int", not_null=True), Column("n", "int"), Column("total", "int"))
    return Table("summary", columns, ("grp",), summary=Summary(of.name, group, total))


@dataclass
class _Writer:
    """Writes statements against a schema."""

    random: Random
    schema: Schema
    shy: bool = False
    ours: bool = False
    wide: bool = False
    there: dict[str, list[dict[str, str]]] = field(default_factory=dict)
    made: dict[str, list[dict[str, str]]] = field(default_factory=dict)
    said: list[tuple[str, str, Column, str]] = field(default_factory=list)

    def statement(self) -> Step:
        if self.random.random() < 0.1:
            kind = self.random.choice(("kept", "undone", "caught"))
            return Block(kind, tuple(Statement(self._one()) for _ in range(self.random.randint(1, 2))))
        return Statement(self._one())

    def _one(self) -> str:
        table = self.random.choice(self.schema.written)
        kinds: list[Callable[[Table], str]] = [self._update, self._update, self._update, self._update, self._update]
        kinds += [self._update, self._shift, self._noop, self._merge, self._point]
        if any(c.counter for c in table.columns):
            kinds += [self._count] * 5
        if any(c.identity == "always" for c in table.columns):
            kinds += [self._renumber]
        if not self.shy:
            kinds += [self._insert] * 3 + [self._delete] * 2
            kinds += [self._upsert, self._rekey, self._replace, self._resurrect, self._point, self._swap]
        if self.wide and not self.shy and len(self.schema.written) == len(self.schema.tables):
            kinds += [self._truncate]
        statement = self.random.choice(kinds)(table)
        divided = table.partitions is not None and table.partitions.strategy != "hash"
        return self._in_a_part(table, statement) if divided and self.random.random() < 0.15 else statement

    def _in_a_part(self, table: Table, statement: str) -> str:
        """The same, said to one of the partitions."""
        assert table.partitions is not None
        part = f"{table.name}_{self.random.randrange(len(table.partitions.bounds))}"
        for verb in ("update", "delete from", "insert into", "truncate"):
            statement = statement.replace(f"{verb} {quoted(table.name)} ", f"{verb} {quoted(part)} ")
        return statement

    def _truncate(self, table: Table) -> str:
        """Not among totals, which are kept by row triggers: a TRUNCATE leaves them wrong."""
        return f"truncate {quoted(table.name)} {self.random.choice(('restrict', 'cascade'))}"

    def _value(self, column: Column) -> str:
        nothing = not column.not_null and self.random.random() < 0.12
        return literal(None if nothing else self.random.choice(column.values))

    def _free(self, table: Table) -> list[Column]:
        """Columns that a statement may set, the key aside."""
        return [c for c in table.stored if c.values and c.name not in table.key]

    def _here(self, table: Table) -> str:
        """Which rows: nearly always one by its key, now and then several."""
        dice = self.random.random()
        if dice < 0.12:
            return "true"
        if dice < 0.3:
            return self._condition(self.random.choice([table.column(k) for k in table.key] + self._free(table)))
        return " and ".join(f"{quoted(k)} = {value}" for k, value in self._key(table).items())

    def _key(self, table: Table) -> dict[str, str]:
        """A key: mostly of a row that was there in the beginning."""
        rows = self.there.get(table.name)
        if rows and self.random.random() < 0.8:
            return {k: row[k] for row in [self.random.choice(rows)] for k in table.key}
        return {k: literal(self.random.choice(table.column(k).values)) for k in table.key}

    def _condition(self, column: Column) -> str:
        operator = self.random.choice(("=", "<>", ">", "<=")) if column.kind != "jsonb" else "="
        return f"{quoted(column.name)} {operator} {literal(self.random.choice(column.values))}"

    def _update(self, table: Table) -> str:
        free = self._free(table)
        columns = self.random.sample(free, min(len(free), self.random.choice((1, 1, 2))))
        if not columns:
            return self._noop(table)
        values, here = [self._value(c) for c in columns], self._here(table)
        if self.ours:
            self.said.append((quoted(table.name), here, columns[0], values[0]))
        assigned = ", ".join(f"{quoted(c.name)} = {v}" for c, v in zip(columns, values, strict=True))
        return f"update {quoted(table.name)} set {assigned} where {here}"

    def there_and_back(self) -> tuple[Step, ...]:
        """Change what the session has set, and set it again."""
        table, here, column, value = self.random.choice(self.said)
        update = f"update {table} set {quoted(column.name)} = "
        return Statement(f"{update}{self._value(column)} where {here}"), Statement(f"{update}{value} where {here}")

    def hand_on(self, table: Table) -> tuple[Step, ...]:
        """Let a row leave a place in an index, and another take it."""
        index = self.random.choice(table.indexes)
        listed = [c for c in index.columns if c not in table.key]
        column = table.column(index.where.column if index.where and self.random.random() < 0.6 else listed[0])
        place, other = (literal(v) for v in self.random.sample(column.values, 2))
        name, target = quoted(column.name), quoted(table.name)
        leave = f"update {target} set {name} = {other} where {name} = {place}"
        return Statement(leave), Statement(f"update {target} set {name} = {place} where {self._here(table)}")

    def _shift(self, table: Table) -> str:
        """An update that reads what it writes."""
        numbers = [c for c in self._free(table) if c.kind in NUMBERS]
        if not numbers:
            return self._update(table)
        name = quoted(self.random.choice(numbers).name)
        return f"update {quoted(table.name)} set {name} = {name} + {self.random.choice((1, 10, -1))} where {self._here(table)}"

    def _count(self, table: Table) -> str:
        """Add to a counter."""
        name = quoted(self.random.choice([c for c in table.columns if c.counter]).name)
        added = self.random.choice((1, 10, -1))
        return f"update {quoted(table.name)} set {name} = {name} + {added} where {self._here(table)}"

    def _renumber(self, table: Table) -> str:
        """Have the database give a row another number."""
        name = quoted(self.random.choice([c for c in table.columns if c.identity == "always"]).name)
        return f"update {quoted(table.name)} set {name} = default where {self._here(table)}"

    def _noop(self, table: Table) -> str:
        name = quoted(self.random.choice([c for c in table.stored[1:] if c.identity != "always"]).name)
        return f"update {quoted(table.name)} set {name} = {name} where {self._here(table)}"

    def row(self, table: Table) -> dict[str, str]:
        """A new row: column to literal."""
        columns = [
            c for c in table.stored if c.values and (c.name in table.key or c.not_null or self.random.random() < 0.8)
        ]
        row = {
            c.name: literal(self.random.choice(c.values)) if c.name in table.key else self._value(c) for c in columns
        }
        for foreign_key in table.foreign_keys:
            row |= self._pointing(foreign_key)
        if self.ours:
            self.made.setdefault(table.name, []).append(row)
        return row

    def _pointing(self, key: ForeignKey) -> dict[str, str]:
        """The columns of a foreign key, pointing at a row that the session has made, now and then."""
        made = self.made.get(key.parent)
        if not made or self.random.random() < 0.5:
            return {}
        row = self.random.choice(made)
        return {c: row.get(r, "null") for c, r in zip(key.columns, key.referenced, strict=True)}

    def _insert(self, table: Table) -> str:
        row = self.row(table)
        rows = [row]
        if self.random.random() < 0.2:
            more = {c.name: self._value(c) for c in table.columns if c.name in row}
            rows.append({name: more[name] for name in row})
        return insert(table, *rows) + self.random.choice(("", "", " on conflict do nothing"))

    def _delete(self, table: Table) -> str:
        return f"delete from {quoted(table.name)} where {self._here(table)}"

    def _upsert(self, table: Table) -> str:
        row = self.row(table) | self._key(table)
        assigned = ", ".join(f"{quoted(c)} = excluded.{quoted(c)}" for c in row if c not in table.key)
        if not assigned:
            return self._update(table)
        return f"{insert(table, row)} on conflict ({names(table.key)}) do update set {assigned}"

    def _rekey(self, table: Table) -> str:
        if self.random.random() < 0.25 and table.column(table.key[0]).kind in NUMBERS:
            name = quoted(table.key[0])
            return f"update {quoted(table.name)} set {name} = {name} + {self.random.choice((1, 10, -1))} where {self._here(table)}"
        key = {k: literal(self.random.choice(table.column(k).values)) for k in table.key}
        here, assigned = self._here(table), ", ".join(f"{quoted(k)} = {value}" for k, value in key.items())
        self.there.setdefault(table.name, []).append(key)
        return f"update {quoted(table.name)} set {assigned} where {here}"

    def _replace(self, table: Table) -> str:
        """Delete a row and insert another with the same key."""
        row = self.row(table) | self._key(table)
        key = " and ".join(f"{quoted(k)} = {row[k]}" for k in table.key)
        return f"delete from {quoted(table.name)} where {key}; {insert(table, row)}"

    def _resurrect(self, table: Table) -> str:
        """Insert rows of the beginning exactly as they were, where they are gone."""
        columns = names(tuple(c.name for c in table.stored))
        seed = quoted(table.name + "_seed")
        gone = f"not exists (select from {quoted(table.name)} x where x.rid = {seed}.rid)"
        into = f"{quoted(table.name)} ({columns}){_given(table)}"
        return f"insert into {into} select {columns} from {seed} where {gone} and {self._here(table)}"

    def _point(self, table: Table) -> str:
        """Point a foreign key elsewhere."""
        if not table.foreign_keys:
            return self._update(table) if self.shy else self._insert(table)
        foreign_key = self.random.choice(table.foreign_keys)
        values = {c: self._value(table.column(c)) for c in foreign_key.columns} | self._pointing(foreign_key)
        assigned = ", ".join(f"{quoted(c)} = {v}" for c, v in values.items())
        return f"update {quoted(table.name)} set {assigned} where {self._here(table)}"

    def _swap(self, table: Table) -> str:
        """Swap two values of a column, which may be unique or the key."""
        column = table.column(
            self.random.choice(
                [
                    *table.key,
                    *(c for u in table.uniques for c in u.columns),
                    *(c for i in table.indexes for c in i.columns),
                ]
            )
        )
        one, other = (literal(v) for v in self.random.sample(column.values, 2))
        name = quoted(column.name)
        swapped = f"case when {name} = {one} then {other}::{column.kind} else {one}::{column.kind} end"
        return f"update {quoted(table.name)} set {name} = {swapped} where {name} in ({one}, {other})"

    def _merge(self, table: Table) -> str:
        free = self._free(table)
        if self.shy or not free:
            return self._update(table)
        name = quoted(self.random.choice(free).name)
        seed = quoted(table.name + "_seed")
        same = " and ".join(f"t.{quoted(k)} = s.{quoted(k)}" for k in table.key)
        columns = tuple(c.name for c in table.stored)
        taken = ", ".join(f"s.{quoted(c)}" for c in columns)
        gone = f"not exists (select from {quoted(table.name)} x where x.rid = s.rid)"
        return (
            f"merge into {quoted(table.name)} t using {seed} s on {same} "
            f"when matched and t.{name} is not distinct from s.{name} then delete "
            f"when matched then update set {name} = s.{name} "
            f"when not matched and {gone} then insert ({names(columns)}){_given(table)} values ({taken})"
        )


def insert(table: Table, *rows: dict[str, str]) -> str:
    """An INSERT of rows, each from column to literal."""
    values = ", ".join("(" + ", ".join(row.values()) + ")" for row in rows)
    return f"insert into {quoted(table.name)} ({names(tuple(rows[0]))}){_given(table)} values {values}"


def _given(table: Table) -> str:
    """How numbers are given to columns that number themselves."""
    return " overriding system value" if any(c.identity == "always" for c in table.columns) else ""


def random_history(seed: int, *, schema: Schema | None = None) -> History:
    """A history of four to nine transactions over a schema of its own, or over the given one."""
    random = Random(f"history {seed}")
    schema = schema or random_schema(seed)
    writer = _Writer(random, schema, wide=is_wide(seed))
    writer.there.update({table.name: _first_rows(random, writer, table) for table in schema.written})
    setup = tuple(insert(table, row) for table in schema.written for row in writer.there[table.name])
    shy = random.random() < 0.5
    targets = ("S",) if random.random() < 0.85 else ("S", "S2")
    transactions = _course(writer, targets, shy, random.randint(3, 8))
    late = _course(writer, ("T",), True, random.randint(1, 2)) if random.random() < 0.4 else ()
    history = History(schema, setup, transactions, targets, late, seed, _some_steps(seed, targets, transactions))
    return nested(history) if is_wide(seed) else history


def _some_steps(seed: int, targets: tuple[str, ...], transactions: tuple[Transaction, ...]) -> tuple[int, ...] | None:
    """Which transactions of the session are to be taken back, as steps of their own; None, nearly always: the whole session."""
    random = Random(f"steps {seed}")
    ours = [number for number, transaction in enumerate(transactions) if transaction.actor == "S"]
    if len(targets) > 1 or len(ours) < 2 or random.random() < 0.85:
        return None
    return tuple(sorted(random.sample(ours, random.randint(1, len(ours) - 1))))


def _first_rows(random: Random, writer: _Writer, table: Table) -> list[dict[str, str]]:
    """Rows to start with. Those that do not fit are left out by whoever runs the history."""
    keys = [[literal(v) for v in table.column(k).values] for k in table.key]
    chosen = random.sample(list(itertools.product(*keys)), random.randint(3, 5))
    return [writer.row(table) | dict(zip(table.key, key, strict=True)) for key in chosen]


def _course(writer: _Writer, targets: tuple[str, ...], shy: bool, length: int) -> tuple[Transaction, ...]:
    """Transactions of the targets and of others, who are shy (they only update) in some histories: not all end in conflict."""
    random = writer.random
    alone = random.random() < 0.2
    indexed = [table for table in writer.schema.written if table.indexes]
    found = []
    for number in range(length):
        ours = alone or number == 1 or random.random() < 0.5
        actor = random.choice(targets) if ours else random.choice(("T", UNBOUND))
        author = replace(writer, shy=shy and not ours, ours=ours)
        steps = tuple(author.statement() for _ in range(random.choice((1, 1, 2, 3)) if ours else 1))
        if not ours and writer.said and random.random() < 0.1:
            steps = author.there_and_back()
        elif indexed and random.random() < 0.3:
            steps += author.hand_on(random.choice(indexed))
        unbound = 1 if actor != UNBOUND and len(steps) > 1 and random.random() < 0.05 else 0
        found.append(Transaction(actor, steps, guarded=random.random() < 0.8, unbound=unbound))
    return tuple(found)
