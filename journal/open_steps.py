"""Which steps are open on which connection, and who opened them: a connection serves one task at a time."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

from journal.errors import ConcurrentStep

if TYPE_CHECKING:
    from journal.step_flows import StepFlows


class _OpenSteps:
    """Which steps are open on which connection, and which task (or thread) opened them."""

    def __init__(self) -> None:
        self._stacks: dict[int, list[StepFlows]] = {}
        self._lock = threading.Lock()

    def enter(self, conn: Any, step: StepFlows) -> StepFlows | None:
        """The step around this one on the same connection."""
        with self._lock:
            stack = self._stacks.setdefault(id(conn), [])
            if stack and stack[-1].owner != step.owner:
                raise ConcurrentStep(
                    "another task is inside a step on this connection",
                    hint="give each task a connection of its own, or a pool",
                )
            stack.append(step)
            return stack[-2] if len(stack) > 1 else None

    def leave(self, conn: Any, step: StepFlows) -> None:
        with self._lock:
            stack = self._stacks[id(conn)]
            stack.remove(step)
            if not stack:
                del self._stacks[id(conn)]


open_steps = _OpenSteps()
