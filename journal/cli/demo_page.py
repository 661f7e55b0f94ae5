"""Watching the demo: what is going on, what happened, and a verdict that one can believe or not."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any
from uuid import UUID

from journal.cli.page_of_session import write_session
from journal.cli.paper import Paper, cell, say
from journal.cli.queries.show import show_document
from journal.cli.rollback_report import write_report
from journal.cli.shell import Connection

if TYPE_CHECKING:
    from journal.demo import Ending, Proof


class Watching:
    """Somebody watches: everything is shown."""

    def __init__(self, page: Paper) -> None:
        self.page = page

    @contextmanager
    def stage(self, title: str) -> Iterator[Callable[[str], None]]:
        started = time.monotonic()
        facts: list[str] = []
        with self.page.working(title):
            yield facts.append
        self.page.line(f"✓ {title}  ({time.monotonic() - started:.1f} s)", style="good")
        for fact in facts:
            self.page.line(f"    {fact}")

    def show(self, conn: Connection, session_id: UUID) -> None:
        self.page.heading(f"What happened?    journal show {session_id}")
        write_session(self.page, show_document(conn, session_id))
        self.page.line()

    def plan(self, report: dict[str, Any]) -> None:
        session_id = report["sessions"][0]["session_id"]
        self.page.heading(f"Take it back?    journal rollback --session {session_id} --on-conflict skip")
        write_report(self.page, report)
        self.page.line()

    def rollback(self, report: dict[str, Any]) -> None:
        self.page.heading("y    The plan that was shown is applied.")
        write_report(self.page, report)
        self.page.line()

    def proof(self, proof: Proof) -> None:
        if proof.name == "prices_are_back":
            self.page.heading("The proof, computed from the database and the broker")
        self.page.line(f"  {'✓' if proof.holds else '✗'} {proof.claim}", style="good" if proof.holds else "bad")
        self.page.line(f"      {_figures(proof.figures)}", style="dim")

    def verdict(self, ending: Ending) -> None:
        """The last lines."""
        failed = [proof.name for proof in ending.proofs if not proof.holds]
        self.page.line()
        if failed:
            self.page.line(f"{len(failed)} of {len(ending.proofs)} proofs failed: {', '.join(failed)}", style="bad")
        else:
            self.page.line(f"All {len(ending.proofs)} proofs hold. It took {ending.seconds:.0f} seconds.", style="good")


class Quiet(Watching):
    """A machine reads the result; what is going on goes to stderr."""

    def __init__(self) -> None:
        """There is no page."""

    @contextmanager
    def stage(self, title: str) -> Iterator[Callable[[str], None]]:
        say(f"{title} …")
        yield say

    def show(self, conn: Connection, session_id: UUID) -> None:
        """The result says it."""

    def plan(self, report: dict[str, Any]) -> None:
        """The result says it."""

    def rollback(self, report: dict[str, Any]) -> None:
        """The result says it."""

    def proof(self, proof: Proof) -> None:
        say(f"{proof.name}: {'holds' if proof.holds else 'FAILS'}")

    def verdict(self, ending: Ending) -> None:
        """The result says it."""


def _figures(figures: dict[str, Any]) -> str:
    return ", ".join(f"{name.replace('_', ' ')}: {_figure(value)}" for name, value in figures.items())


def _figure(value: object) -> str:
    if isinstance(value, dict):
        return " / ".join(f"{number:,} {name}" for name, number in value.items())
    return cell(value)
