"""`place`: each kind of destination in turn, or those that a test names with `indirect`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.relay.places import PLACES, Place

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture(params=PLACES, ids=lambda kind: kind.kind)
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Place]:
    made: Place = request.param(request, tmp_path)
    yield made
    made.close()


@pytest.fixture
def file_url(tmp_path: Path) -> str:
    return f"file://{tmp_path}/out.jsonl"
