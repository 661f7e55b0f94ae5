"""The story: what happens, in order. It tells an audience, and returns how it ended."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar
from uuid import UUID

import psycopg
from psycopg import sql

import journal
from journal.demo import agent
from journal.demo.agent import Calls
from journal.demo.broker import read_stream, stored
from journal.demo.lost_reply import LossyProxy
from journal.demo.proofs import Evidence, Proof, prove
from journal.demo.relay_process import STREAM, DemoError, RelayProcess
from journal.demo.shop import REFUNDED_ORDERS, Connection, copy_shop, one, open_shop
from journal.demo.traffic import Traffic, people_edit, stock_taking
from journal.embedded import NatsServer, PostgresServer, start_nats, start_postgres
from journal.migrate import migrate

T = TypeVar("T")

_BURST = 5_000
_PATIENCE_SECONDS = 60
_SEALED_REFUNDS = "select count(*) from outbox.messages where topic = 'refunds' and status = 'sealed'"


class Audience(Protocol):
    """Who watches."""

    def stage(self, title: str) -> AbstractContextManager[Callable[[str], None]]:
        """Something that takes time; the function tells what was found in it."""

    def show(self, conn: Connection, session_id: UUID) -> None:
        """What the session did."""

    def plan(self, report: dict[str, Any]) -> None:
        """What a rollback would do."""

    def rollback(self, report: dict[str, Any]) -> None:
        """What the rollback did."""

    def proof(self, proof: Proof) -> None:
        """One claim, and whether it holds."""


@dataclass(frozen=True)
class Ending:
    """How it ended."""

    seconds: float
    session_id: UUID
    report: dict[str, Any]
    proofs: tuple[Proof, ...]
    traffic: int

    @property
    def all_hold(self) -> bool:
        return all(proof.holds for proof in self.proofs)


@dataclass
class Stage:
    """The servers, and who works on them."""

    postgres: PostgresServer
    nats: NatsServer
    dsn: str
    conn: Connection
    relay: RelayProcess
    started: float


@contextmanager
def raise_curtain(audience: Audience) -> Iterator[Stage]:
    """Servers of our own, a shop in them; all of it is gone afterwards."""
    started = time.monotonic()
    with ExitStack() as stack:
        with audience.stage("Starting PostgreSQL and NATS of our own") as tell:
            postgres = stack.enter_context(start_postgres(version=18))
            nats = stack.enter_context(start_nats())
            tell(f"PostgreSQL on port {postgres.port}, NATS on port {nats.port}, both on this machine only")
        dsn = _make_database(postgres)
        conn = stack.enter_context(psycopg.connect(dsn, autocommit=True, application_name="demo"))
        with audience.stage("Opening a shop") as tell:
            migrate(dsn, no_roles=True)
            for fact in open_shop(conn):
                tell(fact)
            copy_shop(conn)
            tell("a copy of every row is kept aside")
        yield Stage(postgres, nats, dsn, conn, RelayProcess(dsn, nats.url, postgres.folder / "relay.log"), started)


def play(audience: Audience, stage: Stage) -> Ending:
    """From the first customer to the last proof."""
    with Traffic(stage.dsn) as traffic, stage.relay:
        session_id, calls, killed_with = _act_one(audience, stage, traffic)
        refunds = one(stage.conn, "select count(*) from refunds")
        audience.show(stage.conn, session_id)
        report = _act_two(audience, stage, session_id, traffic)
        with audience.stage("Closing the shop, letting the relay finish") as tell:
            traffic.stop()
            _raise_failures(traffic)
            stage.relay.check()
            stage.relay.stop()
            if stage.relay.drain() != 0:
                raise DemoError(f"the relay could not finish: {stage.relay.last_words()}")
            tell(f"{traffic.committed:,} transactions of others went on all the while")
    evidence = Evidence(stage.conn, read_stream(stage.nats.url, STREAM), calls, refunds, killed_with, report)
    proofs = []
    for proof in prove(evidence):
        audience.proof(proof)
        proofs.append(proof)
    return Ending(time.monotonic() - stage.started, session_id, report, tuple(proofs), traffic.committed)


def _act_one(audience: Audience, stage: Stage, traffic: Traffic) -> tuple[UUID, Calls, int]:
    """The agent works, the relay is killed, people go on."""
    session_id = agent.open_session(stage.conn)
    with audience.stage("An agent reprices 5,000 products, by the wrong factor") as tell:
        agent.reprice(stage.conn, session_id)
        tell(
            "prices are ten times what they were, and the shop is open: customers order, stock goes down in the same rows"
        )
    with audience.stage("The relay is killed with -9 in the middle of its work") as tell:
        killed_with, before, after = _kill_relay(stage)
        tell(f"exit status {killed_with}, when the broker held {before:,} messages and {after:,} were committed")
    with audience.stage("The agent deletes customers, and refunds orders over a line that loses replies") as tell:
        agent.delete_customers(stage.conn, session_id)
        with LossyProxy(stage.postgres.host, stage.postgres.port) as proxy:
            calls = agent.refund_orders(session_id, _through(stage.dsn, proxy.port), proxy)
        tell(f"{calls.refunds} refunds took {calls.calls} calls")
        tell(f"the replies to {calls.lost} COMMITs were lost; {calls.replayed} calls found the work done")
    with audience.stage("The relay starts again; people edit the same rows") as tell:
        stage.relay.start()
        people_edit(stage.dsn)
        _wait_for_refunds(stage)
        tell("notes on 300 repriced products and 20 refunded orders; one person sets the price of product 7 to 25.00")
    _raise_failures(traffic)
    return session_id, calls, killed_with


def _act_two(audience: Audience, stage: Stage, session_id: UUID, traffic: Traffic) -> dict[str, Any]:
    """The plan, and the rollback."""
    with audience.stage("Planning the rollback: reads only"):
        plan = journal.plan_rollback(stage.conn, session_id, on_conflict="skip")
    audience.plan(plan.as_json())
    with audience.stage("Rolling back, while the shop is open") as tell:
        before = traffic.committed
        report = journal.rollback(stage.conn, plan, reason="wrong factor", wait=_PATIENCE_SECONDS)
        tell(f"{traffic.committed - before:,} transactions of others were committed meanwhile")
    audience.rollback(report.as_json())
    return dict(report.as_json())


def _kill_relay(stage: Stage) -> tuple[int, int, int]:
    """Kill it while a burst is on its way: exit status, messages in the broker, messages committed."""
    at_start = _wait(lambda: stored(stage.nats.url, STREAM), "the relay delivered nothing", stage)
    stock_taking(stage.dsn, _BURST)
    _wait(lambda: stored(stage.nats.url, STREAM) > at_start + 50, "the relay delivered nothing more", stage)
    killed_with = stage.relay.kill()
    return killed_with, stored(stage.nats.url, STREAM), one(stage.conn, "select count(*) from outbox.messages")


def _wait_for_refunds(stage: Stage) -> None:
    """The refund messages have their place in the order: what is about to leave the house, a rollback cannot undo."""
    _wait(lambda: one(stage.conn, _SEALED_REFUNDS) == len(REFUNDED_ORDERS), "the relay sealed no refunds", stage)


def _wait(condition: Callable[[], T], otherwise: str, stage: Stage) -> T:
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while time.monotonic() < deadline:
        if found := condition():
            return found
        stage.relay.check()
        time.sleep(0.005)
    raise DemoError(f"{otherwise} within {_PATIENCE_SECONDS} s: {stage.relay.last_words()}")


def _make_database(postgres: PostgresServer) -> str:
    """It belongs to a role that is no superuser: nothing in the shop needs one."""
    password = secrets.token_hex(16)
    with psycopg.connect(postgres.dsn(), autocommit=True) as conn:
        conn.execute(sql.SQL("create role shop login password {}").format(sql.Literal(password)))
        conn.execute("create database shop owner shop")
    return postgres.dsn("shop", user="shop", password=password)


def _through(dsn: str, port: int) -> str:
    return psycopg.conninfo.make_conninfo(dsn, port=port)


def _raise_failures(traffic: Traffic) -> None:
    if traffic.failures:
        raise DemoError("the shop's own traffic failed") from traffic.failures[0]
