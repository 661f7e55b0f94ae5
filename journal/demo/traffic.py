"""Everyone else: the shop's own traffic, and people in the back office. They know nothing of the agent.

Each change is told to `edits` in its own transaction, after the row is locked, so that the last edit of a cell is the last one
that was committed. Each message carries the id of its edit: messages of one key must arrive in the order of these ids.
"""

from __future__ import annotations

import random
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self

import psycopg
from psycopg import sql

import outbox
from journal.demo.shop import (
    REFUNDED_ORDERS,
    REPRICED_PRODUCTS,
    TRAFFIC_CUSTOMERS,
    TRAFFIC_ORDERS,
    Connection,
    of_table,
)

PAUSE_SECONDS = 0.02
CONFLICTING_PRODUCT = 7
_SUPPORT_NOTES = 300
_BESTSELLERS = REPRICED_PRODUCTS[10:20]

_EDIT = """
    insert into edits (table_name, row_key, column_name, value)
    values (%(table)s, %(key)s, %(column)s, %(value)s) returning id"""


@dataclass
class Traffic:
    """Background connections that work until the block is left. `committed` counts their transactions."""

    dsn: str
    connections: int = 3
    committed: int = 0
    failures: list[BaseException] = field(default_factory=list)
    _stop: threading.Event = field(default_factory=threading.Event)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _threads: list[threading.Thread] = field(default_factory=list)

    def __enter__(self) -> Self:
        for number in range(self.connections):
            thread = threading.Thread(target=self._work, args=(number,), name=f"traffic-{number}", daemon=True)
            self._threads.append(thread)
            thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def stop(self) -> None:
        """End the traffic in order, after the transactions that are running."""
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def _work(self, number: int) -> None:
        chance = random.Random(number)  # noqa: S311  a shop, no secret
        try:
            with psycopg.connect(self.dsn, autocommit=True, application_name="shop-web") as conn:
                while not self._stop.wait(PAUSE_SECONDS):
                    with conn.transaction():
                        chance.choice(_ERRANDS)(conn, chance)
                    with self._lock:
                        self.committed += 1
        except BaseException as error:  # noqa: BLE001  a thread's error is the demo's, and is raised there
            self.failures.append(error)


def edit(conn: Connection, table: str, key: int, column: str, value: object) -> int:
    """Change one cell as somebody else, and tell `edits`; the edit's id."""
    statement = of_table("update {} set {column} = %(value)s where id = %(key)s", table, column=sql.Identifier(column))
    conn.execute(statement, {"value": value, "key": key})
    return _tell(conn, table, key, column, value)


def people_edit(dsn: str) -> None:
    """The back office, on rows that the agent has just changed: other columns on many, the same column on one."""
    with psycopg.connect(dsn, autocommit=True, application_name="back-office") as conn:
        for product in REPRICED_PRODUCTS[:_SUPPORT_NOTES]:
            with conn.transaction():
                edit(conn, "products", product, "note", f"checked by hand: {product}")
        for order in REFUNDED_ORDERS:
            with conn.transaction():
                edit(conn, "orders", order, "note", "customer called about the refund")
        with conn.transaction():
            edit(conn, "products", CONFLICTING_PRODUCT, "price", "25.00")


def _tell(conn: Connection, table: str, key: int, column: str, value: object) -> int:
    told = conn.execute(
        _EDIT, {"table": table, "key": str(key), "column": column, "value": value if value is None else str(value)}
    )
    row: Any = told.fetchone()
    return int(row[0])


def _sell(conn: Connection, chance: random.Random) -> None:
    """One product less: the other columns of rows that the agent reprices."""
    product = chance.choice(_BESTSELLERS) if chance.random() < 0.4 else chance.choice(REPRICED_PRODUCTS)
    row: Any = conn.execute("update products set stock = stock - 1 where id = %s returning stock", [product]).fetchone()
    edit_id = _tell(conn, "products", product, "stock", row[0])
    outbox.publish(conn, topic="stock", key=f"product-{product}", data={"edit": edit_id, "stock": row[0]})


def _place_order(conn: Connection, chance: random.Random) -> None:
    """A new order with an item."""
    customer, product = chance.choice(TRAFFIC_CUSTOMERS), chance.choice(REPRICED_PRODUCTS)
    row: Any = conn.execute("insert into orders (customer_id) values (%s) returning id", [customer]).fetchone()
    conn.execute(
        "insert into order_items (order_id, line, product_id, quantity, price) values (%s, 1, %s, 1, 9.99)",
        [row[0], product],
    )
    edit_id = _tell(conn, "orders", row[0], "status", "placed")
    outbox.publish(conn, topic="orders", key=f"order-{row[0]}", data={"edit": edit_id, "order": row[0]})


def _ship(conn: Connection, chance: random.Random) -> None:
    order = chance.choice(TRAFFIC_ORDERS)
    edit_id = edit(conn, "orders", order, "status", chance.choice(("paid", "shipped")))
    outbox.publish(conn, topic="orders", key=f"order-{order}", data={"edit": edit_id})


def _move(conn: Connection, chance: random.Random) -> None:
    edit(conn, "customers", chance.choice(TRAFFIC_CUSTOMERS), "phone", f"555-{chance.randint(10_000, 99_999)}")


_ERRANDS: tuple[Callable[[Connection, random.Random], None], ...] = (_sell, _sell, _sell, _place_order, _ship, _move)


def stock_taking(dsn: str, messages: int) -> None:
    """A burst of messages in one transaction, so that the relay is in the middle of something when it is killed."""
    with psycopg.connect(dsn, autocommit=True, application_name="warehouse") as conn:
        conn.execute(_BURST, {"messages": messages})


_BURST = """
    select count(outbox.publish(topic => 'stock_taking', key => 'shelf-' || n %% 50,
                                data => jsonb_build_object('edit', nextval(pg_get_serial_sequence('edits', 'id')))))
      from generate_series(1, %(messages)s) as n"""
