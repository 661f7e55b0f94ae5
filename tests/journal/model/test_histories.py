"""Some random histories; soak.py runs thousands. `python -m tests.journal.model.repeat SEED` repeats and shrinks one."""

from __future__ import annotations

import os

import psycopg
import pytest

from tests.journal.model.checks import check_history
from tests.journal.model.generate import random_history

HISTORIES = int(os.environ.get("JOURNAL_TEST_HISTORIES", "45"))
CHUNK = 15
FIRST = 180_000  # the same histories on every server, so that a difference is the server's; soak.py takes others


@pytest.mark.parametrize(
    "first",
    [
        pytest.param(first, marks=[pytest.mark.long] if first > FIRST else [])
        for first in range(FIRST, FIRST + HISTORIES, CHUNK)
    ],
)
def test_a_rollback_does_what_the_model_says(conn: psycopg.Connection, first: int) -> None:
    found = {seed: _findings(conn, seed) for seed in range(first, first + CHUNK)}
    assert not {seed: findings for seed, findings in found.items() if findings}


def _findings(conn: psycopg.Connection, seed: int) -> list[str]:
    return [str(finding) for finding in check_history(conn, random_history(seed), f"model_{seed}").findings]
