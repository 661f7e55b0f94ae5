"""The checker is worth what it finds: it has to see every fault that is put into the rollback, within a few histories."""

from __future__ import annotations

import psycopg
import pytest

from tests.journal.model.checks import check_history
from tests.journal.model.faults import FAULTS, Fault
from tests.journal.model.generate import random_history

BOUND = 40


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
def test_the_checker_sees_a_rollback_that(conn: psycopg.Connection, fault: Fault) -> None:
    fault.inject(conn)
    for seed in range(fault.first_seed, fault.first_seed + BOUND):
        if check_history(conn, random_history(seed), f"fault_{seed}").findings:
            return
    pytest.fail(f"{BOUND} histories and nothing seen")
