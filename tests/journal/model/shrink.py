"""Makes a failing history small: one thing less at a time, as long as it still fails in the same way."""

from __future__ import annotations

from collections.abc import Callable

from tests.journal.model.history import History, smaller


def shrink(history: History, fails: Callable[[History], bool], *, budget: int = 600) -> History:
    """The smallest history found within a number of tries."""
    tries = 0
    progress = True
    while progress and tries < budget:
        progress = False
        for candidate in smaller(history):
            tries += 1
            if fails(candidate):
                history, progress = candidate, True
                break
            if tries >= budget:
                break
    return history
