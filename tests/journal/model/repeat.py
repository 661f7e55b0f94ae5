"""`python -m tests.journal.model.repeat SEED`: one history again, shrunk, as a script for psql."""

from __future__ import annotations

import argparse
import itertools
import os
import sys

import psycopg

from tests.journal.model.checks import Result, check_history
from tests.journal.model.generate import random_history
from tests.journal.model.history import History
from tests.journal.model.shrink import shrink
from tests.journal.model.soak import connected


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("seed", type=int)
    parser.add_argument("--dsn", help="a migrated database; by default a server of our own")
    parser.add_argument("--kind", help="the finding to keep; by default the first")
    parser.add_argument("--whole", action="store_true", help="do not shrink")
    arguments = parser.parse_args()
    with connected(arguments.dsn) as conn:
        history = random_history(arguments.seed)
        result = check_history(conn, history, f"r{os.getpid()}_{arguments.seed}")
        kind = arguments.kind or next((f.kind for f in result.findings), None)
        if kind is not None and not arguments.whole:
            history, result = smallest(conn, history, kind)
    sys.stdout.write(f"{history}\n\n")
    for finding in result.findings:
        sys.stdout.write(f"{finding}\n")
    return 1 if result.findings else 0


def smallest(conn: psycopg.Connection, history: History, kind: str) -> tuple[History, Result]:
    """The smallest history found that shows the same kind of finding, and what it shows."""
    numbers = itertools.count()

    def checked(candidate: History) -> Result:
        return check_history(conn, candidate, f"s{os.getpid()}_{next(numbers)}")

    def fails(candidate: History) -> bool:
        try:
            return any(f.kind == kind for f in checked(candidate).findings)
        except (psycopg.Error, StopIteration, ValueError):
            return False  # the smaller schema does not fit together

    found = shrink(history, fails)
    return found, checked(found)


if __name__ == "__main__":
    sys.exit(main())
