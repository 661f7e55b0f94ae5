"""`python -m benchmarks [NAME …] [--keys N …] [--json]`: those named, or every benchmark that takes no minutes.

They run on one embedded server.
"""

from __future__ import annotations

import argparse
import importlib
import json
import sys

from benchmarks.measure import Ratio, show
from journal.embedded import PostgresServer, start_postgres

# Large enough that a benchmark measures statements and not checkpoints.
_SETTINGS = {"shared_buffers": "512MB", "max_wal_size": "4GB"}
NAMES = ("capture", "pgbench", "steps", "rollback", "relay")
LONG = ("scale",)  # takes minutes
_HELP = f"of {', '.join(NAMES)}; or of {', '.join(LONG)}, which takes minutes and runs only when named"


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("names", nargs="*", choices=[[], *NAMES, *LONG], metavar="NAME", help=_HELP)
    parser.add_argument("--keys", type=int, nargs="+", help="of steps: numbers of keys, rising, such as 1000 10000000")
    parser.add_argument("--json", action="store_true", help="one object a line")
    options = parser.parse_args()
    with start_postgres(settings=_SETTINGS) as server:
        for name in options.names or NAMES:
            _print(_run(name, server, options.keys), as_json=options.json)
    return 0


def _run(name: str, server: PostgresServer, keys: list[int] | None) -> list[Ratio]:
    print(f"running {name} …", file=sys.stderr)
    sizes = {"keys": tuple(sorted(keys))} if keys and name == "steps" else {}
    ratios: list[Ratio] = importlib.import_module(f"benchmarks.{name}").run(server, **sizes)
    return ratios


def _print(ratios: list[Ratio], *, as_json: bool) -> None:
    if as_json:
        for ratio in ratios:
            print(json.dumps(ratio.as_json()))
    else:
        show(ratios)


if __name__ == "__main__":
    sys.exit(main())
