"""`python -m tests.journal.model.soak --histories N --seed S`: many histories, and what did not hold, with seeds to repeat them."""

from __future__ import annotations

import argparse
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

import psycopg

from tests.journal.model.checks import check_history
from tests.journal.model.generate import random_history
from tests.journal.model.parallel import check_in_parallel


@contextmanager
def connected(dsn: str | None) -> Iterator[psycopg.Connection]:
    """A connection to a migrated database: the given one, or one on a server of our own."""
    if dsn:
        with psycopg.connect(dsn, autocommit=True) as conn:
            yield conn
        return
    from tests import rig  # noqa: PLC0415  reads the environment

    with (
        rig.cluster() as cluster,
        cluster.database(template=rig.TEMPLATE) as name,
        psycopg.connect(cluster.dsn(name), autocommit=True) as conn,
    ):
        yield conn


def among_writers(seeds: range) -> int:
    """Rollbacks among writers; how many of them showed something."""
    from tests import rig  # noqa: PLC0415  reads the environment

    wrong = 0
    with rig.cluster() as cluster:
        for seed in seeds:
            with cluster.database(template=rig.TEMPLATE) as name:
                found = check_in_parallel(cluster.dsn(name), seed)
            wrong += bool(found)
            sys.stdout.writelines(f"among writers, seed {seed}: {fault}\n" for fault in found)
    return wrong


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--histories", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--dsn", help="a migrated database; by default a server of our own")
    parser.add_argument("--show", type=int, default=3, help="how many findings of a kind are printed")
    parser.add_argument(
        "--among-writers", type=int, default=20, help="so many rollbacks among writers, on a server of our own"
    )
    parser.add_argument("--minutes", type=float, default=60, help="no history is begun after that")
    arguments = parser.parse_args()
    outcomes: Counter[str] = Counter()
    kinds: Counter[str] = Counter()
    faults = checked = 0
    started = time.monotonic()
    with connected(arguments.dsn) as conn:
        for seed in range(arguments.seed, arguments.seed + arguments.histories):
            if time.monotonic() - started > arguments.minutes * 60:
                break
            checked += 1
            result = check_history(conn, random_history(seed), f"m{seed}")
            outcomes += result.outcomes
            faults += len(result.faults)
            for finding in result.findings:
                kinds[finding.kind] += 1
                if kinds[finding.kind] <= arguments.show:
                    sys.stdout.write(f"seed {seed}: {finding}\n")
    sys.stdout.write(f"\n{checked} histories in {time.monotonic() - started:.0f} s\n")
    for name, count in (*sorted(outcomes.items()), ("", ""), *kinds.most_common()):
        sys.stdout.write(f"{count:>7} {name}\n")
    wrong = among_writers(range(arguments.seed, arguments.seed + arguments.among_writers))
    sys.stdout.write(f"\n{arguments.among_writers} rollbacks among writers, {wrong} with findings\n")
    return 1 if faults or wrong else 0


if __name__ == "__main__":
    sys.exit(main())
