"""Files on the relay's host: who may read what it writes, and what it reads."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from relay.destinations.base import Owner
from relay.destinations.jsonl import Jsonl
from relay.errors import DestinationRefused

if TYPE_CHECKING:
    from pathlib import Path

OWNER = Owner("0189ffff-0000-7000-8000-000000000000", "files")


def destination(path: Path, credentials: Path | None = None) -> Jsonl:
    return Jsonl(Jsonl.parse(path.as_uri()), str(credentials) if credentials else None)


async def test_a_new_file_is_nobody_elses_to_read(tmp_path: Path) -> None:
    path = tmp_path / "out.jsonl"
    await destination(path).open(OWNER, fresh=True)
    assert path.stat().st_mode & 0o777 == 0o600


async def test_no_file_is_made_through_a_link(tmp_path: Path) -> None:
    """Who may write to the folder could else have the relay make a file anywhere."""
    path, victim = tmp_path / "out.jsonl", tmp_path / "victim"
    path.symlink_to(victim)
    with pytest.raises(DestinationRefused, match="symbolic link"):
        await destination(path).open(OWNER, fresh=True)
    assert not victim.exists()


@pytest.mark.parametrize(("mode", "told"), [(0o600, False), (0o400, False), (0o640, True), (0o644, True)])
def test_credentials_that_others_can_read_are_told(tmp_path: Path, mode: int, told: bool) -> None:
    path = tmp_path / "credentials"
    path.write_text("user:secret")
    path.chmod(mode)
    notices = destination(tmp_path / "out.jsonl", path).notices
    assert [f"chmod 600 {path}" in notice for notice in notices] == [True] * told
