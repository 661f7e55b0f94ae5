"""For hosts that keep their own schema with alembic: our schema inside a revision of theirs.

    import journal.alembic
    from alembic import op

    def upgrade():
        journal.alembic.upgrade(op.get_bind())
        op.cover_table("public.orders")

and in their `env.py`, so that autogenerate passes over our schemas:

    context.configure(..., include_name=journal.alembic.include_name)
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import sqlalchemy as sa
from alembic.operations import MigrateOperation, Operations

from journal.migrate import Migration, migrate
from outbox.pg.resources import SCHEMAS

__all__ = ["CoverTable", "include_name", "upgrade"]


def upgrade(connection: sa.Connection, *, to: str | None = None, no_roles: bool = False) -> Migration:
    """Migrate our schema in the transaction of `connection`, which stays open. Errors: those of `journal.migrate.migrate`."""
    return migrate(connection, to=to, no_roles=no_roles)


def include_name(name: str | None, type_: str, parent_names: Mapping[str, str | None]) -> bool:
    """For `context.configure(include_name=…)`: autogenerate passes over our schemas and whatever is in them."""
    schema = name if type_ == "schema" else parent_names.get("schema_name")
    return schema not in SCHEMAS


@Operations.register_operation("cover_table")
class CoverTable(MigrateOperation):
    """`op.cover_table(table, …)`: journal the changes of a table from this revision on. Options as of `journal.cover`."""

    def __init__(self, table: str, options: Mapping[str, bool | str | list[str]]) -> None:
        self.table = table
        self.options = options

    @classmethod
    def cover_table(
        cls,
        operations: Operations,
        table: str,
        *,
        agents_only: bool = False,
        audit_only: bool = False,
        strict: bool = False,
        exclude: Sequence[str] = (),
        counters: Sequence[str] = (),
        maintained: Sequence[str] = (),
        truncate: str | None = None,
    ) -> None:
        """Cover `table`, named as for `::regclass`; idempotent."""
        asked: dict[str, bool | str | list[str] | None] = {
            "writers": "agents" if agents_only else None,
            "undo": False if audit_only else None,
            "strict": strict or None,
            "exclude": list(exclude) or None,
            "counters": list(counters) or None,
            "maintained": list(maintained) or None,
            "truncate": truncate,
        }
        # What is not asked for is not said: the default stands in SQL.
        operations.invoke(cls(table, {name: value for name, value in asked.items() if value is not None}))


@Operations.implementation_for(CoverTable)
def _cover_table(operations: Operations, operation: CoverTable) -> None:
    named = "".join(f", {name} => :{name}" for name in operation.options)
    statement = sa.text(f"select journal.cover(cast(:table_name as regclass){named})")
    types = [sa.bindparam(name, value, type_=_type_of(value)) for name, value in operation.options.items()]
    operations.execute(statement.bindparams(sa.bindparam("table_name", operation.table, type_=sa.Text()), *types))


def _type_of(value: bool | str | list[str]) -> sa.types.TypeEngine[Any]:
    if isinstance(value, bool):
        return sa.Boolean()
    return sa.ARRAY(sa.Text()) if isinstance(value, list) else sa.Text()
