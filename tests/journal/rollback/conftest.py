"""What the tests of rolling back have at hand."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.journal.rollback.history import History
from tests.rig import Cluster


@pytest.fixture
def history(dsn: str, postgres: Cluster) -> Iterator[History]:
    """An empty migrated database in which something is about to happen."""
    made = History(dsn, postgres)
    yield made
    made.close()
