"""Findings about servers, and whether each has a test that would fail if somebody forgot it."""

from __future__ import annotations

import re
from pathlib import Path


def assert_is_there(folder: Path, test: str) -> None:
    """`test` is `path::name` below the folder, without the `test_` of the name."""
    place, name = test.split("::")
    assert re.search(rf"^(async )?def (test_)?{name}\(", (folder / place).read_text(), re.MULTILINE), test
