"""The first schema."""

from collections.abc import Callable
from pathlib import Path

revision = "0001"
down_revision = None


def upgrade(execute: Callable[[str], None]) -> None:
    """Run this revision's own frozen SQL."""
    execute(Path(__file__).with_suffix(".sql").read_text(encoding="utf-8"))
