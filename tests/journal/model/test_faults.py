"""The checker is worth what it finds: it has to see every fault that is put into the rollback."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import islice

import psycopg
import pytest

from tests.journal.model.checks import check_history
from tests.journal.model.faults import FAULTS, Fault
from tests.journal.model.generate import random_history
from tests.journal.model.history import History

pytestmark = pytest.mark.long

BOUND = 12
SEED = 27  # the course with everything in it: plan, dry run, rollback, redo, rollback after that


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
def test_the_checker_sees_a_rollback_that(conn: psycopg.Connection, fault: Fault) -> None:
    fault.inject(conn)
    tried = 0
    for history in islice(_histories(fault), BOUND):
        tried += 1
        if check_history(conn, history, f"fault_{tried}").findings:
            return
    pytest.fail(f"{tried} histories and nothing seen")


def test_what_shows_a_fault_is_sound_without_it(conn: psycopg.Connection) -> None:
    shown = {fault.shown: fault.name for fault in FAULTS if fault.shown is not None}
    results = {name: check_history(conn, _seeded(h), f"sound_{n}") for n, (h, name) in enumerate(shown.items())}
    assert not {name: found for name, result in results.items() if (found := list(map(str, result.findings)))}


def _histories(fault: Fault) -> Iterator[History]:
    """The one that shows the fault, or random ones where nearly all of them do."""
    if fault.shown is not None:
        yield _seeded(fault.shown)
    else:
        yield from map(random_history, range(BOUND))


def _seeded(history: History) -> History:
    return history if history.seed is not None else replace(history, seed=SEED)
