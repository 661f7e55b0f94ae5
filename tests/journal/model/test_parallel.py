"""A rollback among writers; `soak` repeats it under other seeds."""

from __future__ import annotations

from tests.journal.model.parallel import check_in_parallel


def test_a_rollback_among_writers(dsn: str) -> None:
    assert not check_in_parallel(dsn, seed=1)
