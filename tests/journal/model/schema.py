"""Schemas as data: what a random schema consists of, and its SQL.

Every table has a column `rid` that no statement of a history changes: the model's identity of a row. To the rollback it is a
column like any other.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from decimal import Decimal

RID = "rid"
VALUES: dict[str, tuple[str, ...]] = {
    "int": ("0", "1", "2", "3", "4", "5"),
    "text": ("a", "b", "c", "D", "o'k", ""),
    "numeric": ("1", "1.0", "1.00", "2.50", "-3", "40"),
    "jsonb": ('{"a": 1}', '{"a": 1, "b": 2}', "[]", "null"),
    "bool": ("t", "f"),
    "int[]": ("{}", "{1}", "{1,NULL,3}"),
    "int4range": ("[1,3)", "[2,5)", "[4,6)", "[6,)", "empty"),
}
KEYS: dict[str, tuple[str, ...]] = {
    "int": ("1", "2", "3", "4", "5"),
    "text": ("a", "b", "c", "D", "o'k"),
    "uuid": tuple(f"00000000-0000-0000-0000-00000000000{n}" for n in range(1, 6)),
    "numeric": ("1", "2.50", "3.00", "4.0", "5"),
}
NUMBERS = {"int", "numeric"}
# Expressions that an index may have: their SQL over a column, and what they make of a value. "twice" is a generated column.
EXPRESSIONS: dict[str, tuple[str, Callable[[str | None], str | None]]] = {
    "lower": ("lower({})", lambda v: None if v is None else v.lower()),
    "twice": ('"twice {}"', lambda v: None if v is None else str((2 * Decimal(v)).normalize())),
    "abs": ("abs({})", lambda v: None if v is None else str(abs(Decimal(v)).normalize())),
    "coalesce": ("coalesce({}, 0)", lambda v: "0" if v is None else str(Decimal(v).normalize())),
    "a of": ("({} ->> 'a')", lambda v: None if v is None else _member(v)),
}


def _member(value: str) -> str | None:
    found = json.loads(value)
    return str(found["a"]) if isinstance(found, dict) and "a" in found else None


def quoted(name: str) -> str:
    """An identifier as it stands in SQL."""
    return '"' + name.replace('"', '""') + '"'


def literal(value: str | None) -> str:
    """A value as it stands in SQL: untyped, so that it takes the type of its column."""
    return "null" if value is None else "'" + value.replace("'", "''") + "'"


@dataclass(frozen=True)
class Column:
    """A column. `maintained` by a trigger, or declared so: then histories write it too; `generated` is the expression of a
    generated column, which holds no image; an `identity` is always given, or by default."""

    name: str
    kind: str
    not_null: bool = False
    default: str | None = None
    maintained: bool = False
    generated: str | None = None
    values: tuple[str, ...] = ()
    identity: str | None = None
    counter: bool = False

    @property
    def sql(self) -> str:
        parts = [quoted(self.name), self.kind]
        if self.generated is not None:
            return " ".join([*parts, f"generated always as ({self.generated}) stored"])
        if self.identity is not None:
            return " ".join([*parts, f"generated {self.identity} as identity (start with 6)"])
        if self.default is not None:
            parts.append(f"default {self.default}")
        return " ".join([*parts, "not null"] if self.not_null else parts)

    def normal(self, value: str | None) -> str | None:
        """What the type's equality compares, for values that print differently and are equal."""
        return str(Decimal(value).normalize()) if value is not None and self.kind == "numeric" else value


@dataclass(frozen=True)
class Unique:
    columns: tuple[str, ...]
    timing: str = ""

    @property
    def sql(self) -> str:
        return f"unique ({names(self.columns)}) {self.timing}".strip()


@dataclass(frozen=True)
class Where:
    """The predicate of a partial index: `column operator value`; null is not in it."""

    column: str
    operator: str
    value: str

    @property
    def sql(self) -> str:
        return f"{quoted(self.column)} {self.operator} {literal(self.value)}"

    def holds(self, table: Table, row: Sequence[str | None]) -> bool:
        column = table.column(self.column)
        found = column.normal(row[table.index(self.column)])
        return found is not None and (found == column.normal(self.value)) == (self.operator == "=")


@dataclass(frozen=True)
class Index:
    """A unique index, or an exclusion constraint by an operator, over columns or expressions of them; `where` makes it partial."""

    columns: tuple[str, ...]
    expressions: tuple[str | None, ...]
    where: Where | None = None
    nulls_distinct: bool = True
    excluding: str | None = None
    timing: str = ""

    def sql(self, table: str) -> str:
        parts = [
            EXPRESSIONS[e][0].format(c if e == "twice" else quoted(c)) if e else quoted(c)
            for c, e in zip(self.columns, self.expressions, strict=True)
        ]
        where = f" where ({self.where.sql})" if self.where else ""
        if self.excluding is None:
            nulls = "" if self.nulls_distinct else " nulls not distinct"
            return f"create unique index on {quoted(table)} ({', '.join(parts)}){nulls}{where}"
        method = "btree" if self.excluding == "=" else "gist"
        listed = ", ".join(f"{part} with {self.excluding}" for part in parts)
        return f"alter table {quoted(table)} add exclude using {method} ({listed}){where} {self.timing}".rstrip()

    def place(self, table: Table, row: Sequence[str | None]) -> tuple[str | None, ...] | None:
        """What the row has in the index; None if it is not in it, or meets nobody there."""
        if self.where is not None and not self.where.holds(table, row):
            return None
        found = tuple(self._value(table, row, c, e) for c, e in zip(self.columns, self.expressions, strict=True))
        return None if self.nulls_distinct and None in found else found

    def _value(self, table: Table, row: Sequence[str | None], name: str, expression: str | None) -> str | None:
        value = row[table.index(name)]
        return EXPRESSIONS[expression][1](value) if expression else table.column(name).normal(value)

    def meet(self, one: tuple[str | None, ...], other: tuple[str | None, ...]) -> bool:
        """Whether two places are one."""
        return one == other if self.excluding != "&&" else _overlap(str(one[0]), str(other[0]))


def _overlap(one: str, other: str) -> bool:
    """Whether two int4ranges, as they print, have a number in common."""
    if "empty" in {one, other}:
        return False
    (low, high), (low2, high2) = (
        (float(a or "-inf"), float(b or "inf")) for a, b in (r[1:-1].split(",") for r in (one, other))
    )
    return low < high2 and low2 < high


@dataclass(frozen=True)
class Check:
    """`left operator right`, where right is a column or a number; null passes."""

    left: str
    operator: str
    right: str

    @property
    def sql(self) -> str:
        right = self.right if self.right.lstrip("-").isdigit() else quoted(self.right)
        return f"check ({quoted(self.left)} {self.operator} {right})"

    def holds(self, row: dict[str, str | None]) -> bool:
        left = row[self.left]
        right = self.right if self.right.lstrip("-").isdigit() else row[self.right]
        if left is None or right is None:
            return True
        a, b = Decimal(left), Decimal(right)
        return {">=": a >= b, "<>": a != b, "<": a < b}[self.operator]


@dataclass(frozen=True)
class ForeignKey:
    columns: tuple[str, ...]
    parent: str
    referenced: tuple[str, ...]
    on_delete: str = "no action"
    on_update: str = "no action"
    timing: str = ""
    full: bool = False

    @property
    def sql(self) -> str:
        actions = f"on delete {self.on_delete} on update {self.on_update} {self.timing}".strip()
        match = "match full " if self.full else ""
        referenced = f"{quoted(self.parent)} ({names(self.referenced)})"
        return f"foreign key ({names(self.columns)}) references {referenced} {match}{actions}"


@dataclass(frozen=True)
class Partitions:
    """How a table is divided by a column of its key: each partition with its bounds. `aside`, the first one's columns have
    other numbers than the root's."""

    by: str
    strategy: str
    bounds: tuple[str, ...]
    aside: bool = False

    def ddl(self, table: str) -> Iterator[str]:
        for number, bounds in enumerate(self.bounds):
            name = quoted(f"{table}_{number}")
            if self.aside and number == 0:
                like = f"like {quoted(table)} including defaults including constraints including generated"
                yield f"create table {name} (aside int, {like})"
                yield f"alter table {name} drop column aside"
                yield f"alter table {quoted(table)} attach partition {name} {bounds}"
            else:
                yield f"create table {name} partition of {quoted(table)} {bounds}"


def hashed(column: str) -> Partitions:
    """Two partitions, by the hash of a column."""
    return Partitions(column, "hash", tuple(f"for values with (modulus 2, remainder {n})" for n in range(2)))


@dataclass(frozen=True)
class Summary:
    """A table that an AFTER trigger keeps: per group the number of rows and the sum of a column."""

    of: str
    group: str
    total: str


@dataclass(frozen=True)
class Table:
    name: str
    columns: tuple[Column, ...]
    key: tuple[str, ...]
    uniques: tuple[Unique, ...] = ()
    indexes: tuple[Index, ...] = ()
    checks: tuple[Check, ...] = ()
    foreign_keys: tuple[ForeignKey, ...] = ()
    triggers: tuple[str, ...] = ()
    summary: Summary | None = None
    partitions: Partitions | None = None
    _index: dict[str, int] = field(default_factory=dict, compare=False, repr=False)

    @property
    def stored(self) -> tuple[Column, ...]:
        """The columns that hold a value of their own."""
        return tuple(c for c in self.columns if c.generated is None)

    def index(self, column: str) -> int:
        """Where a stored column stands in a row of the model."""
        if not self._index:
            self._index.update({c.name: n for n, c in enumerate(self.stored)})
        return self._index[column]

    def column(self, name: str) -> Column:
        return next(c for c in self.columns if c.name == name)

    @property
    def sql(self) -> str:
        constraints = [f"primary key ({names(self.key)})", *(u.sql for u in self.uniques)]
        constraints += [*(c.sql for c in self.checks), *(f.sql for f in self.foreign_keys)]
        parts = ",\n    ".join([*(c.sql for c in self.columns), *constraints])
        divided = f" partition by {self.partitions.strategy} ({quoted(self.partitions.by)})" if self.partitions else ""
        return f"create table {quoted(self.name)} (\n    {parts}){divided}"

    @property
    def coverage(self) -> str:
        """The call that covers it, with the columns that are declared."""
        declared = {
            "counters": [c.name for c in self.columns if c.counter],
            "maintained": [c.name for c in self.columns if c.maintained and c.values],
        }
        options = (f", {kind} => array[{', '.join(map(literal, found))}]" for kind, found in declared.items() if found)
        return f"select journal.cover({literal(quoted(self.name))}{''.join(options)})"


@dataclass(frozen=True)
class Schema:
    tables: tuple[Table, ...]

    def table(self, name: str) -> Table:
        return next(t for t in self.tables if t.name == name)

    @property
    def written(self) -> tuple[Table, ...]:
        """The tables that histories write themselves."""
        return tuple(t for t in self.tables if t.summary is None)

    def ddl(self) -> Iterator[str]:
        """Everything but coverage, in order."""
        yield "create sequence rid_seq"
        for table in self.tables:
            yield table.sql
            if table.partitions is not None:
                yield from table.partitions.ddl(table.name)
            yield from (index.sql(table.name) for index in table.indexes)
            yield f"create table {quoted(table.name + '_seed')} as table {quoted(table.name)} with no data"
        for table in self.tables:
            yield from _triggers(table)
            if table.summary is not None:
                yield from _summary_trigger(table, table.summary)

    def coverage(self) -> Iterator[str]:
        for table in self.tables:
            yield table.coverage


def names(columns: tuple[str, ...]) -> str:
    return ", ".join(map(quoted, columns))


_BODIES = {
    "touch": ("before update", "new.touched := clock_timestamp();"),
    "touch_always": ("before insert or update", "new.touched := clock_timestamp();"),
    "version": ("before update", "new.version := old.version + 1;"),
    "trim": ("before insert or update", "new.label := lower(new.label);"),
}
TRIGGER_COLUMNS = {
    "touch": Column("touched", "timestamptz", default="clock_timestamp()", maintained=True),
    "touch_always": Column("touched", "timestamptz", maintained=True),
    "version": Column("version", "int", not_null=True, default="1", maintained=True),
    "trim": Column("label", "text", values=("Big", "small", "MIXED")),
}


def _triggers(table: Table) -> Iterator[str]:
    for kind in table.triggers:
        event, body = _BODIES[kind]
        function = quoted(f"{kind}_{table.name}")
        yield f"create function {function}() returns trigger language plpgsql as $$begin {body} return new; end$$"
        yield f"create trigger {quoted('k_' + kind)} {event} on {quoted(table.name)} for each row execute function {function}()"


def _summary_trigger(table: Table, summary: Summary) -> Iterator[str]:
    name, function, group, total = (
        quoted(table.name),
        quoted(f"keep_{table.name}"),
        quoted(summary.group),
        quoted(summary.total),
    )
    yield f"""create function {function}() returns trigger language plpgsql as $$
begin
    if tg_op <> 'INSERT' then
        update {name} set n = n - 1, total = total - coalesce(old.{total}, 0) where grp = coalesce(old.{group}, -1);
    end if;
    if tg_op <> 'DELETE' then
        insert into {name} (grp, n, total) values (coalesce(new.{group}, -1), 1, coalesce(new.{total}, 0))
            on conflict (grp) do update set n = {name}.n + 1, total = {name}.total + excluded.total;
    end if;
    return null;
end$$"""
    yield (
        f"create trigger keep after insert or update or delete on {quoted(summary.of)} "
        f"for each row execute function {function}()"
    )
