"""What histories that are written by hand are made of: few columns, short names, and the schemas that come up again and again."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from tests.journal.model.history import History, Statement, Transaction
from tests.journal.model.schema import (
    RID,
    TRIGGER_COLUMNS,
    VALUES,
    Column,
    ForeignKey,
    Index,
    Partitions,
    Schema,
    Summary,
    Table,
    Where,
)

ROW_ID = Column(RID, "bigint", not_null=True, default="nextval('rid_seq')")
K = Column("k", "int", not_null=True)
V = Column("v", "int")
W = Column("w", "int")

PLAIN = Schema((Table("t", (ROW_ID, K, V), ("k",)),))
FLAGGED = Schema((Table("t", (ROW_ID, K, V, W), ("k",), indexes=(Index(("w",), (None,), Where("v", "=", "1")),)),))
WIDE = Schema((Table("t", (ROW_ID, K, V, W), ("k",)),))
TOUCHED = Schema((Table("t", (ROW_ID, K, V, W, TRIGGER_COLUMNS["touch"]), ("k",), triggers=("touch",)),))
_COUNTS = (ROW_ID, Column("grp", "int", not_null=True), Column("n", "int"), Column("total", "int"))
_SUMMARY = Table("summary", _COUNTS, ("grp",), summary=Summary("t", "v", "v"))
SUMMED = Schema((*PLAIN.tables, _SUMMARY))
SUMMED_WIDE = Schema((*WIDE.tables, _SUMMARY))

DIVIDED = Schema(
    (
        Table(
            "t",
            (ROW_ID, K, V),
            ("k",),
            partitions=Partitions("k", "list", ("for values in (1)", "default"), aside=True),
        ),
    )
)
NUMBERED = Schema((Table("t", (ROW_ID, replace(K, identity="always"), V), ("k",)),))
COUNTED = Schema((Table("t", (ROW_ID, K, replace(V, counter=True, values=VALUES["int"])), ("k",)),))
DECLARED = Schema((Table("t", (ROW_ID, K, V, replace(W, maintained=True, values=VALUES["int"])), ("k",)),))

_PAIR = (replace(K, name="k1"), replace(K, name="k2"))
_PLACE = Table("place", (ROW_ID, *_PAIR), ("k1", "k2"))


def _placed(on_delete: str, *, full: bool) -> Schema:
    """Rows that refer to two columns."""
    key = ForeignKey(("v", "w"), "place", ("k1", "k2"), on_delete, full=full)
    return Schema((_PLACE, Table("t", (ROW_ID, K, V, W), ("k",), foreign_keys=(key,))))


MATCHED = _placed("no action", full=True)
SET_IN_PART = _placed("set null (w)", full=False)

_PARENT = Table("parent", (ROW_ID, K), ("k",))
_OWNED = Table("child", (ROW_ID, K, W), ("k",), foreign_keys=(ForeignKey(("w",), "parent", ("k",), "cascade"),))
_NAMED = Table("child", (ROW_ID, K), ("k",), foreign_keys=(ForeignKey(("k",), "parent", ("k",), "cascade", "cascade"),))
OWNED = Schema((_PARENT, _OWNED))
NAMED_AFTER = Schema((_PARENT, _NAMED))

_WHOLE = Table("whole", (ROW_ID, K, Column("total", "int", default="0")), ("k",))
_PART = Table("part", (ROW_ID, K, V, W), ("k",), foreign_keys=(ForeignKey(("w",), "whole", ("k",)),))
_CASCADING = replace(_PART, foreign_keys=(ForeignKey(("w",), "whole", ("k",), "cascade"),))
WHOLE_AND_PARTS = Schema((_WHOLE, _PART))
WHOLE_WITH_PARTS = Schema((_WHOLE, _CASCADING))
TOTALS = (
    """create function keep_total() returns trigger language plpgsql as $$begin
        if tg_op <> 'INSERT' then update whole set total = total - old.v where k = old.w; end if;
        if tg_op <> 'DELETE' then update whole set total = total + new.v where k = new.w; end if;
        return null; end$$""",
    "create trigger keep after insert or update or delete on part for each row execute function keep_total()",
    "insert into whole (k) values (1)",
    "insert into part (k, v, w) values (1, 5, 1), (2, 6, 1)",
)


def course(*transactions: str) -> tuple[Transaction, ...]:
    """Transactions, each as `actor: statement; statement`."""
    parts = (t.split(": ", 1) for t in transactions)
    return tuple(Transaction(actor, tuple(map(Statement, sql.split("; ")))) for actor, sql in parts)


def story(
    schema: Schema, setup: str | tuple[str, ...], *transactions: str, late: tuple[str, ...] = (), **more: Any
) -> History:
    """A history; its seed, set later, decides how the rollback is rehearsed and what follows it."""
    lines = (setup,) if isinstance(setup, str) else setup
    return History(schema, lines, course(*transactions), late=course(*late), **more)
