"""Who is running: the asyncio task, or the thread where there is none."""

from __future__ import annotations

import asyncio
import threading

Owner = tuple[int, int | None]


def owner() -> Owner:
    """Identifies the running task or thread, as long as it lives."""
    try:
        task = asyncio.current_task()
    except RuntimeError:
        task = None
    return threading.get_ident(), id(task) if task else None
