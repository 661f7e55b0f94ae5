"""The proofs: each is computed from the databases and the broker, and none believes what the journal says about itself."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from psycopg import sql

from journal.demo.agent import Calls
from journal.demo.broker import Delivered, by_key, repeats
from journal.demo.shop import (
    DELETED_CUSTOMERS,
    REFUNDED_ORDERS,
    REPRICED_PRODUCTS,
    TABLES,
    Connection,
    of_table,
    one,
)
from journal.demo.traffic import CONFLICTING_PRODUCT


@dataclass(frozen=True)
class Proof:
    """One claim, whether it holds, and the figures it was judged by."""

    name: str
    claim: str
    holds: bool
    figures: dict[str, Any]

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True)
class Evidence:
    """What the proofs look at."""

    conn: Connection
    delivered: Sequence[Delivered]
    calls: Calls
    refunds_before: int
    relay_killed_with: int
    report: dict[str, Any]


def prove(evidence: Evidence) -> Iterator[Proof]:
    """All proofs, one after the other."""
    for proof in PROOFS:
        yield proof(evidence)


def prices_are_back(evidence: Evidence) -> Proof:
    """Against the copy; the one price that a person has set since is that person's."""
    values: dict[str, object] = {"first": REPRICED_PRODUCTS[0], "last": REPRICED_PRODUCTS[-1]}
    restored = one(evidence.conn, _RESTORED_PRICES, values)
    theirs = one(evidence.conn, "select price::text from products where id = %(id)s", {"id": CONFLICTING_PRODUCT})
    figures = {"repriced": len(REPRICED_PRODUCTS), "restored": restored, "kept_as_set_by_a_person": theirs}
    claim = "every price is as in the copy taken before, except the one that a person set since"
    return Proof("prices_are_back", claim, restored == len(REPRICED_PRODUCTS) - 1 and theirs == "25.00", figures)


def customers_are_back(evidence: Evidence) -> Proof:
    """Whole rows, with the orders and the items that the deletion took along."""
    values: dict[str, object] = {"first": DELETED_CUSTOMERS[0], "last": DELETED_CUSTOMERS[-1]}
    figures = {}
    for table, query in _DELETED.items():
        before, same = evidence.conn.execute(query, values).fetchone() or (0, 0)
        figures[table] = {"deleted": before, "identical": same}
    holds = all(found["deleted"] == found["identical"] > 0 for found in figures.values())
    claim = "every deleted row is back, identical in every column: customers, their orders, the items of these"
    return Proof("customers_are_back", claim, holds, figures)


def everything_is_accounted_for(evidence: Evidence) -> Proof:
    """Every cell of every row is as in the copy, or as the last person wrote it. (`updated_at` belongs to its trigger.)"""
    compared, unexplained = 0, 0
    for table in TABLES:
        compared += one(evidence.conn, of_table("select count(*) from before.{}", table))
        key = sql.SQL(_ROW_KEY.get(table, "id::text"))
        unexplained += one(evidence.conn, of_table(_UNEXPLAINED, table, name=sql.Literal(table), key=key))
    claim = (
        "every row of the shop equals the copy plus what everyone else wrote: nothing else changed, nothing is missing"
    )
    return Proof("everything_is_accounted_for", claim, unexplained == 0, {"rows": compared, "unexplained": unexplained})


def edits_survive(evidence: Evidence) -> Proof:
    """The last word of everyone who is not the agent still stands."""
    told, lost = 0, 0
    for table in ("customers", "products", "orders"):
        cells, gone = evidence.conn.execute(of_table(_EDITS, table), {"table": table}).fetchone() or (0, 0)
        told, lost = told + cells, lost + gone
    claim = "everyone else's edits are still there, also those in rows that were rolled back"
    return Proof("edits_survive", claim, lost == 0 and told > 0, {"edited_cells": told, "lost": lost})


def broker_holds_the_outbox(evidence: Evidence) -> Proof:
    """Counted in the broker, compared with what was committed and not cancelled."""
    wanted = {
        str(row[0])
        for row in evidence.conn.execute("select message_id from outbox.messages where cancelled_by is null")
    }
    cancelled = one(evidence.conn, "select count(*) from outbox.messages where cancelled_by is not null")
    found = [message.message_id for message in evidence.delivered]
    figures = {
        "committed": len(wanted),
        "in_the_broker": len(found),
        "missing": len(wanted - set(found)),
        "not_ours": len(set(found) - wanted),
        "repeated": repeats(evidence.delivered),
        "cancelled_by_the_rollback": cancelled,
        "relay_killed_with_signal": -evidence.relay_killed_with,
    }
    bad = figures["missing"] + figures["not_ours"] + figures["repeated"]
    claim = "the broker holds every committed message once, and none that was cancelled, although the relay was killed"
    return Proof(
        "broker_holds_the_outbox", claim, bad == 0 and cancelled > 0 and evidence.relay_killed_with == -9, figures
    )


def keys_keep_their_order(evidence: Evidence) -> Proof:
    """Messages carry a number that was taken while the row of their key was locked."""
    keys = by_key([message for message in evidence.delivered if message.topic in {"stock", "orders", "stock_taking"}])
    numbers = {key: [json.loads(message.data)["edit"] for message in messages] for key, messages in keys.items()}
    wrong = sum(ids != sorted(ids) for ids in numbers.values())
    longest = max((len(ids) for ids in numbers.values()), default=0)
    claim = "the messages of every key are in the order in which the rows were changed"
    return Proof(
        "keys_keep_their_order",
        claim,
        wrong == 0 and longest > 1,
        {"keys": len(keys), "longest": longest, "out_of_order": wrong},
    )


def refunds_happened_once(evidence: Evidence) -> Proof:
    """Rows counted before the rollback took them away, messages counted in the broker."""
    sent = [message for message in evidence.delivered if message.topic == "refunds"]
    calls = evidence.calls
    figures = {
        **asdict(calls),
        "refund_rows": evidence.refunds_before,
        "messages": len(sent),
        "wanted": len(REFUNDED_ORDERS),
    }
    once = evidence.refunds_before == len(sent) == len({message.key for message in sent}) == len(REFUNDED_ORDERS)
    claim = "each refund took effect once, although its tool was called again after a lost reply"
    return Proof(
        "refunds_happened_once",
        claim,
        once and calls.lost > 0 and calls.calls > calls.refunds == len(REFUNDED_ORDERS),
        figures,
    )


def the_report_adds_up(evidence: Evidence) -> Proof:
    """Every change of the session has exactly one status, and the one conflict is the row that a person repriced."""
    counts = evidence.report["changes"]
    named = sum(value for name, value in counts.items() if name != "total")
    recorded = one(
        evidence.conn, _RECORDED, {"ids": [session["session_id"] for session in evidence.report["sessions"]]}
    )
    conflicts = evidence.report["conflicts"]
    right_row = [conflict["key"] for conflict in conflicts] == [{"id": str(CONFLICTING_PRODUCT)}]
    figures = {"recorded": recorded, "accounted_for": named, "conflicts": len(conflicts)}
    claim = "every recorded change of the session has exactly one outcome; one is a conflict"
    return Proof("the_report_adds_up", claim, recorded == named == counts["total"] and right_row, figures)


PROOFS: tuple[Callable[[Evidence], Proof], ...] = (
    prices_are_back,
    customers_are_back,
    everything_is_accounted_for,
    edits_survive,
    broker_holds_the_outbox,
    keys_keep_their_order,
    refunds_happened_once,
    the_report_adds_up,
)

_RESTORED_PRICES = """
    select count(*)
      from before.products as b join products as p using (id)
     where b.id between %(first)s and %(last)s and b.price::text = p.price::text"""

_DELETED = {
    "customers": """
        select count(*), count(*) filter (where b::text is not distinct from l::text)
          from before.customers as b left join customers as l using (id)
         where b.id between %(first)s and %(last)s""",
    "orders": """
        select count(*), count(*) filter (where b::text is not distinct from l::text)
          from before.orders as b left join orders as l using (id)
         where b.customer_id between %(first)s and %(last)s""",
    "order_items": """
        select count(*), count(*) filter (where b::text is not distinct from l::text)
          from before.order_items as b left join order_items as l using (order_id, line)
         where b.order_id in (select o.id from before.orders as o where o.customer_id between %(first)s and %(last)s)""",
}

_ROW_KEY = {"order_items": "order_id || '/' || line"}

# Rows that differ from the copy, cell by cell, without an edit that says so. A new row is explained by an edit of it, or, for
# an item, by a new order.
_UNEXPLAINED = """
    with changed as (
        select coalesce(b.row_key, l.row_key) as row_key, b.image as was, l.image as is_now
          from (select {key} as row_key, to_jsonb(t) - 'updated_at' as image from before.{0} as t) as b
          full join (select {key} as row_key, to_jsonb(t) - 'updated_at' as image from {0} as t) as l using (row_key)
         where b.image is distinct from l.image
    ), last as (
        select distinct on (row_key, column_name) row_key, column_name, value
          from edits where table_name = {name} order by row_key, column_name, id desc
    ), cell as (
        select c.row_key, w.key as column_name, n.value as is_now, c.was is null as added, c.is_now is null as removed
          from changed as c
         cross join lateral jsonb_each_text(coalesce(c.was, c.is_now)) as w
          left join lateral jsonb_each_text(c.is_now) as n using (key)
         where c.was is null or c.is_now is null or w.value is distinct from n.value
    )
    select count(*)
      from cell as c
     where case
               when c.removed then true
               when c.added then not exists (select from edits as e where e.table_name in ({name}, 'orders')
                                                and e.row_key = split_part(c.row_key, '/', 1))
               else not exists (select from last as e where e.row_key = c.row_key and e.column_name = c.column_name
                                   and e.value is not distinct from c.is_now)
           end"""

_EDITS = """
    with last as (
        select distinct on (row_key, column_name) row_key, column_name, value
          from edits where table_name = %(table)s order by row_key, column_name, id desc
    )
    select count(*), count(*) filter (where to_jsonb(t) ->> last.column_name is distinct from last.value)
      from last left join {} as t on t.id::text = last.row_key"""

_RECORDED = "select coalesce(sum(rows), 0)::bigint from journal.statements where session_id = any (%(ids)s::uuid[])"
