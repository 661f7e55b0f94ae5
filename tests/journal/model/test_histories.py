"""A few hundred random histories; soak.py runs thousands. `python -m tests.journal.model.repeat SEED` repeats and shrinks one."""

from __future__ import annotations

import os

import psycopg
import pytest

from tests import rig
from tests.journal.model.checks import check_history
from tests.journal.model.generate import random_history

HISTORIES = int(os.environ.get("JOURNAL_TEST_HISTORIES", "240"))
CHUNK = 20
# Every server and role sees histories of its own; the same ones every time.
FIRST = rig.VERSION * 10_000 + (5_000 if rig.ROLE == "owner" else 0)


@pytest.mark.parametrize("first", range(FIRST, FIRST + HISTORIES, CHUNK))
def test_a_rollback_does_what_the_model_says(conn: psycopg.Connection, first: int) -> None:
    findings = {
        seed: [str(finding) for finding in result.findings]
        for seed in range(first, first + CHUNK)
        if (result := check_history(conn, random_history(seed), f"model_{seed}")).findings
    }
    assert not findings
