"""Stopping sessions and agents."""

from __future__ import annotations

from journal.cli.queries import rows
from journal.cli.shell import Connection


def resume_agent(conn: Connection, agent: str) -> bool:
    """Let a stopped agent work again; false when it was not stopped."""
    return bool(rows(conn, "select journal.resume_agent(%(agent)s) as resumed", {"agent": agent})[0]["resumed"])
