"""The documentation runs. In README.md and docs/:

- `python` and `sql` blocks run in their order, in one namespace and one fresh migrated database a page, with autocommit off and on;
- `console` blocks: lines that begin with `$ ` run in a shell, the lines after each are what it prints;
- an `output` block is what the block before it prints; `...` stands for anything, in a line or for whole lines;
- `<!-- setup … -->` holds SQL that runs there without being shown;
- `<!-- exit: N -->` before a console block: its last command exits with N;
- `<!-- not run: why -->` before a block: it does not run. Blocks of other languages do not run.
"""

from __future__ import annotations

import contextlib
import io
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
import psycopg
import pytest
from psycopg import conninfo

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
_RUN = ("python", "sql", "console", "output", "setup")
_PART = re.compile(
    r"^<!-- setup\n(?P<setup>.*?)^-->$"
    r"|^<!-- (?P<mark>not run|exit): (?P<value>.+?) -->$"
    r"|^(?P<fence>```+)(?P<language>\w*)[^\n]*\n(?P<body>.*?)^(?P=fence)$",
    re.MULTILINE | re.DOTALL,
)


@dataclass(frozen=True)
class Block:
    language: str
    text: str
    line: int
    exit_code: int = 0


def blocks(page: Path) -> Iterator[Block]:
    """The blocks of a page that run, in their order."""
    text = page.read_text(encoding="utf-8")
    marks: dict[str, str] = {}
    for part in _PART.finditer(text):
        if part["mark"]:
            marks[part["mark"]] = part["value"]
            continue
        line = text.count("\n", 0, part.start()) + 1
        language = "setup" if part["setup"] is not None else part["language"]
        if language in _RUN and "not run" not in marks:
            yield Block(language, part["setup"] or part["body"] or "", line, int(marks.get("exit", 0)))
        marks = {}


class Page:
    """Runs the blocks of one page."""

    def __init__(self, path: Path, dsn: str, folder: Path) -> None:
        self.path = path
        self.dsn = dsn
        self.folder = folder
        self.names: dict[str, Any] = {"__name__": "__docs__"}
        self.printed = ""

    def run(self, block: Block) -> None:
        getattr(self, f"_{block.language}")(block)

    def close(self) -> None:
        """Examples leave their connections open, for brevity."""
        for value in self.names.values():
            if isinstance(value, psycopg.Connection):
                value.close()

    def _python(self, block: Block) -> None:
        code = compile("\n" * block.line + block.text, str(self.path), "exec")
        with contextlib.redirect_stdout(io.StringIO()) as printed:
            exec(code, self.names)  # noqa: S102  the project's own documentation
        self.printed = printed.getvalue()

    def _setup(self, block: Block) -> None:
        with psycopg.connect(self.dsn, autocommit=True) as conn:
            conn.execute(block.text.encode())

    _sql = _setup

    def _output(self, block: Block) -> None:
        assert matches(block.text, self.printed), f"{self.path.name}:{block.line}: printed\n{self.printed}"

    def _console(self, block: Block) -> None:
        commands = re.split(r"^\$ ", block.text, flags=re.MULTILINE)[1:]
        for number, command in enumerate(commands, 1):
            line, _, expected = command.partition("\n")
            while line.endswith("\\"):
                more, _, expected = expected.partition("\n")
                line = f"{line}\n{more.removeprefix('> ')}"
            done = self._shell(line)
            where = f"{self.path.name}:{block.line}: {line}\n{done.stdout}{done.stderr}"
            assert done.returncode == (block.exit_code if number == len(commands) else 0), where
            assert not expected.strip() or matches(expected, done.stdout), where

    def _shell(self, line: str) -> subprocess.CompletedProcess[str]:
        path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
        environment = {**os.environ, "DATABASE_URL": self.dsn, "PATH": path, "COLUMNS": "120"}
        return subprocess.run(
            ["/bin/sh", "-c", line],
            env=environment,
            cwd=self.folder,
            capture_output=True,
            text=True,
            check=False,
            stdin=subprocess.DEVNULL,
        )


def matches(expected: str, printed: str) -> bool:
    """Whether `printed` is as `expected`, in which `...` stands for anything."""
    lines = [line.rstrip() for line in expected.strip().splitlines()]
    pattern = "\n".join(
        ".*" if line.strip() == "..." else re.escape(line).replace(r"\.\.\.", "[^\n]*") for line in lines
    )
    return (
        re.fullmatch(pattern, "\n".join(line.rstrip() for line in printed.strip().splitlines()), re.DOTALL) is not None
    )


@pytest.fixture(params=[False, True], ids=["autocommit off", "autocommit on"])
def in_database(dsn: str, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """`psycopg.connect()` without arguments, as the examples write it, leads to the test's database."""
    connect = psycopg.connect
    for name, value in conninfo.conninfo_to_dict(dsn).items():
        monkeypatch.setenv({"dbname": "PGDATABASE"}.get(name, f"PG{name.upper()}"), str(value))
    monkeypatch.setattr(
        psycopg, "connect", lambda *args, **options: connect(*args, **{"autocommit": request.param, **options})
    )
    return dsn


@pytest.mark.long
@pytest.mark.parametrize("path", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_page_runs(path: Path, in_database: str, tmp_path: Path) -> None:
    page = Page(path, in_database, tmp_path)
    with contextlib.closing(page):
        for block in blocks(path):
            page.run(block)


@pytest.mark.parametrize("path", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_lead_somewhere(path: Path) -> None:
    targets = re.findall(r"\]\((?!\w+:|#)([^)#\s]+)", path.read_text(encoding="utf-8"))
    assert [target for target in targets if not (path.parent / target).exists()] == []


@pytest.mark.parametrize("program", ["journal", "relay"])
def test_every_command_is_documented(program: str) -> None:
    cli = pytest.importorskip(f"{program}.cli")
    text = "\n".join(page.read_text(encoding="utf-8") for page in PAGES)
    commands = cli.main.list_commands(click.Context(cli.main))
    assert [name for name in commands if f"{program} {name}" not in text] == []


def test_dots_stand_for_anything() -> None:
    assert matches("a ... c\n...\nend", "a b c\n1\n2\nend\n")
    assert not matches("a ... c", "a b d")
    assert not matches("a", "a\nb")
