"""Random interleavings of callers that crash, time out, fail and are rolled back.

Whatever happened: an effect took place at most once, every success has exactly one receipt, and no receipt is without its effect.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any
from uuid import UUID

import psycopg
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test

import journal
from tests import rig

CALLERS = st.integers(0, 2)
KEYS = st.sampled_from(["a", "b"])
_names = itertools.count()


class Crash(BaseException):
    """The client is gone."""


class Caller:
    """A client with a session: its connection may die, its session may be stopped."""

    def __init__(self, dsn: str) -> None:
        self._dsn = dsn
        self.step: journal.Step | None = None
        self.reconnect()
        self.new_session()

    def reconnect(self) -> None:
        self.conn = psycopg.connect(self._dsn, autocommit=True)

    def new_session(self) -> None:
        self.agent = journal.open_session(self.conn, agent="bot")

    def crash(self) -> None:
        """Without a goodbye: the server notices, and rolls back."""
        self.conn.close()
        step, self.step = self.step, None
        if step is not None:
            step.__exit__(Crash, Crash(), None)
        self.reconnect()
        self.agent = journal.resume_session(self.conn, self.agent.id)


class Interleavings(RuleBasedStateMachine):
    """Callers share two keys of one tool and two of an external effect, under names of this example's own."""

    dsn: str

    def __init__(self) -> None:
        super().__init__()
        name = next(_names)
        self.tool, self.outside = f"tool {name}", f"outside {name}"
        self.callers = [Caller(self.dsn) for _ in range(3)]
        self.watch = psycopg.connect(self.dsn, autocommit=True)
        self.attempts: dict[tuple[str, str], int] = {}
        self.done: dict[UUID, UUID] = {}  # step: session, of the steps that succeeded and are in effect
        self.sent: list[str] = []  # what reached the provider

    # -- steps in the database

    @rule(caller=CALLERS, key=KEYS)
    def begin(self, caller: int, key: str) -> None:
        who = self.callers[caller]
        if who.step is not None:
            return
        step = who.agent.step(self.tool, key=key, attempt=self._attempt(self.tool, key), wait=0)
        try:
            step.__enter__()
        except journal.StepInProgress:
            assert key in {other.step.key for other in self.callers if other.step}
        except (journal.StepReversed, journal.StepFailed) as error:
            self._go_on(self.tool, key, error)
        else:
            if step.replayed:
                step.__exit__(None, None, None)
                assert step.result == key
            else:
                step.conn.execute("insert into effects values (%s, %s, %s)", (self.tool, key, step.id))
                step.complete(key)
                who.step = step

    @rule(caller=CALLERS)
    def finish(self, caller: int) -> None:
        step = self._taken(caller)
        if step is not None:
            step.__exit__(None, None, None)
            assert step.receipt is not None
            self.done[step.id] = step.session_id

    @rule(caller=CALLERS, error=st.sampled_from([ValueError("no"), TimeoutError(), journal.StepFailed("declined")]))
    def fail(self, caller: int, error: Exception) -> None:
        step = self._taken(caller)
        if step is not None:
            step.__exit__(type(error), error, None)

    @rule(caller=CALLERS)
    def crash(self, caller: int) -> None:
        self.callers[caller].crash()

    # -- effects outside of it

    @rule(
        caller=CALLERS,
        key=KEYS,
        fate=st.sampled_from(["fine", "fine", "lost request", "lost reply", "crash", "crash after it"]),
    )
    def send(self, caller: int, key: str, fate: str) -> None:
        who = self.callers[caller]
        if who.step is not None:
            return
        attempt = self._attempt(self.outside, key)
        try:
            with who.agent.external(self.outside, key=key, attempt=attempt, probe=self._find, wait=0) as step:
                if not step.replayed:
                    self._send(who, step, fate)
        except (journal.StepReversed, journal.StepFailed) as error:
            self._go_on(self.outside, key, error)
        except journal.OutcomeUnknown:
            assert fate.startswith("lost")
        except Crash:
            who.crash()
            self._let_a_second_pass()
        else:
            assert step.receipt is not None
            self.done[step.receipt.step_id] = step.receipt.session_id

    def _send(self, who: Caller, step: journal.External, fate: str) -> None:
        if fate == "crash":
            who.conn.close()
            raise Crash
        if fate != "lost request":
            self.sent.append(step.provider_key)
        if fate == "crash after it":
            who.conn.close()
            raise Crash
        if fate.startswith("lost"):
            raise TimeoutError
        step.complete("sent")

    def _let_a_second_pass(self) -> None:
        """Before that, an intent whose maker died is taken for one that is about to be made."""
        self.watch.execute(
            "update journal.step set started_at = started_at - interval '1 s' where tool = %s", [self.outside]
        )

    def _find(self, provider_key: str) -> str | None:
        return "sent" if provider_key in self.sent else None

    # -- rollbacks

    @rule(caller=CALLERS)
    def roll_back(self, caller: int) -> None:
        who = self.callers[caller]
        if who.step is not None:
            return
        session = who.agent.id
        journal.rollback(self.watch, session)
        self.done = {step: home for step, home in self.done.items() if home != session}
        who.new_session()

    # -- what holds at every moment

    @invariant()
    def effects_happen_at_most_once(self) -> None:
        assert len(self.sent) == len(set(self.sent))
        assert self._rows("select key from effects where tool = %s group by key having count(*) > 1", self.tool) == []

    @invariant()
    def receipts_are_of_successes_and_of_nothing_else(self) -> None:
        in_effect = "select step_id from journal.receipts where tool in (%s, %s) and status <> 'reversed'"
        receipts = self._rows(in_effect, self.tool, self.outside)
        assert len(receipts) == len(set(receipts))
        assert set(receipts) == set(self.done)
        effects = self._rows("select step_id from effects where tool = %s", self.tool)
        assert set(effects) == set(self._rows(in_effect, self.tool, self.tool))
        assert (
            self._rows(
                'select step_id from journal.receipts where tool = %s and changes <> \'{"public.effects": {"insert": 1}}\'',
                self.tool,
            )
            == []
        )

    @precondition(lambda self: all(caller.step is None for caller in self.callers))
    @invariant()
    def nothing_is_left_in_between(self) -> None:
        between = self._rows(
            "select status from journal.steps where tool = %s and status in ('unknown', 'intended')", self.tool
        )
        assert between == []

    def teardown(self) -> None:
        for caller in self.callers:
            caller.conn.close()
        self.watch.close()

    # -- helpers

    def _taken(self, caller: int) -> journal.Step | None:
        step, self.callers[caller].step = self.callers[caller].step, None
        return step

    def _attempt(self, tool: str, key: str) -> int:
        return self.attempts.get((tool, key), 1)

    def _go_on(self, tool: str, key: str, error: journal.StepReversed | journal.StepFailed) -> None:
        following = error.next_attempt if isinstance(error, journal.StepReversed) else self._attempt(tool, key) + 1
        assert following is not None
        self.attempts[tool, key] = following

    def _rows(self, query: str, *parameters: Any) -> list[Any]:
        return [row[0] for row in self.watch.execute(query.encode(), parameters).fetchall()]


@pytest.fixture(scope="module")
def shared_dsn(postgres: rig.Cluster) -> Iterator[str]:
    with postgres.database(template=rig.TEMPLATE) as name:
        dsn = postgres.dsn(name)
        with psycopg.connect(dsn, autocommit=True) as conn:
            conn.execute("create table effects (tool text, key text, step_id uuid primary key)")
            journal.cover(conn, "public.effects")
        yield dsn


def test_random_interleavings(shared_dsn: str) -> None:
    machine = type("Machine", (Interleavings,), {"dsn": shared_dsn})
    checks = [HealthCheck.too_slow, HealthCheck.filter_too_much]
    chosen = settings(max_examples=6, stateful_step_count=20, deadline=None, suppress_health_check=checks)
    run_state_machine_as_test(machine, settings=chosen)
