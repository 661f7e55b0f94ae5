"""`python -m migrations.freeze`: write today's `sql/` into the first revision.

Until the first release the first revision is made anew from `sql/`; afterwards it is history, and a change of the schema is a
new revision. Set `RELEASED` in the commit that tags the first release.
"""

from __future__ import annotations

import sys
from pathlib import Path

from outbox.pg.resources import install_sql

RELEASED = False
BASELINE = Path(__file__).parent / "versions" / "0001_baseline.sql"
_HEADER = "-- Frozen from sql/ by `make freeze`. Not edited by hand.\n\n"


def baseline_text() -> str:
    """What the first revision would hold if it were frozen now."""
    return _HEADER + install_sql()


def freeze() -> bool:
    """Write the first revision; whether it changed. Does nothing once released."""
    text = baseline_text()
    if RELEASED or (BASELINE.exists() and BASELINE.read_text(encoding="utf-8") == text):
        return False
    BASELINE.write_text(text, encoding="utf-8")
    return True


def main() -> int:
    if RELEASED:
        sys.stderr.write("the first revision is released and stays as it is: write a new one\n")
        return 1
    sys.stdout.write(f"{BASELINE.name}: {'written' if freeze() else 'unchanged'}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
