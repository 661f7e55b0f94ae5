"""One measured figure beside its baseline, and the bar of docs that it is held against.

A benchmark is a module of this package with a function `run(server: PostgresServer) -> list[Ratio]`. It makes databases of its own
on the server, interleaves its rounds with the baseline's, and gives the median of each. `python -m benchmarks` runs all of them.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from typing import Any

import psycopg

import journal


@dataclass(frozen=True)
class Ratio:
    """`ours` and `baseline` in `unit`, measured in one run on one machine. `bar` is the worst ratio that is good enough."""

    what: str
    ours: float
    baseline: float
    unit: str
    bar: float | None = None
    more_is_better: bool = False
    baseline_name: str = "no journal"

    @property
    def ratio(self) -> float:
        """Ours by the baseline: below 1 is better for times, above 1 for rates."""
        return self.ours / self.baseline

    @property
    def good(self) -> bool | None:
        """Whether the bar is met; None without one."""
        if self.bar is None:
            return None
        return self.ratio >= self.bar if self.more_is_better else self.ratio <= self.bar

    def as_json(self) -> dict[str, Any]:
        return {**asdict(self), "ratio": self.ratio, "good": self.good}


def agent(conn: psycopg.Connection, statement: str) -> str:
    """A session that ran one statement, closed; its id."""
    with journal.open_session(conn, agent="bench") as session:
        with session.step("work"):
            conn.execute(statement.encode())
        return str(session.id)


def seconds(work: Callable[[], object]) -> float:
    """How long a call takes, by the clock."""
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def milliseconds(times: list[float]) -> float:
    """The median of seconds."""
    return statistics.median(times) * 1000


def show(ratios: Iterable[Ratio]) -> None:
    """The figures as a table."""
    print(f"{'what':<60} {'ours':>10} {'baseline':>10} {'unit':<6} {'ratio':>7} {'bar':>7}  baseline is")
    for ratio in ratios:
        mark = {True: "", False: "  BELOW THE BAR", None: ""}[ratio.good]
        bar = f"{'>=' if ratio.more_is_better else '<='} {ratio.bar:.2f}" if ratio.bar is not None else "-"
        figures = f"{ratio.ours:>10.1f} {ratio.baseline:>10.1f} {ratio.unit:<6} {ratio.ratio:>7.2f} {bar:>7}"
        print(f"{ratio.what:<60} {figures}  {ratio.baseline_name}{mark}")
