"""The rig. `dsn` is a migrated database of the test's own; `conn` and `aconn` are connected to it."""

from __future__ import annotations

import os
import secrets
from collections.abc import AsyncIterator, Iterator

import psycopg
import pytest

from journal.embedded import NatsServer, start_nats
from migrations.freeze import freeze
from tests import rig
from tests.redis_server import RedisServer, start_redis


def pytest_configure(config: pytest.Config) -> None:
    """Freeze today's `sql/` before the first release, so that a change there is what the tests see; CI takes what is committed."""
    if not hasattr(config, "workerinput") and not os.environ.get("CI"):
        freeze()


# `make test` is brief: it leaves to CI what is marked as long, and most of what the owner repeats.
BRIEF = os.environ.get("JOURNAL_TEST_BRIEF") == "1"

# What connections, output and processes do is the same for every role; each has its rights tested in a file of its own.
RIGHTS_DECIDE_NOTHING = (
    "tests/contract/",
    "tests/journal/cli/",
    "tests/journal/model/",
    "tests/relay/test_chaos.py",
    "tests/relay/test_destinations.py",
    "tests/relay/test_faults.py",
    "tests/relay/test_nats.py",
    "tests/relay/test_postgres_destination.py",
    "tests/relay/test_redis.py",
    "tests/relay/test_run.py",
    "tests/test_docs.py",
)
# The same, but for a look at whether the owner may call it: that look is taken elsewhere in `make test`.
REPEATED_IN_CI = (
    "tests/journal/rollback/test_again.py",
    "tests/journal/rollback/test_constraints.py",
    "tests/journal/rollback/test_counters.py",
    "tests/journal/rollback/test_deferred.py",
    "tests/journal/rollback/test_identity.py",
    "tests/journal/rollback/test_keys.py",
    "tests/journal/rollback/test_outside.py",
    "tests/journal/rollback/test_principles.py",
    "tests/journal/rollback/test_references.py",
    "tests/journal/rollback/test_shape.py",
    "tests/journal/rollback/test_swaps.py",
    "tests/journal/rollback/test_taken.py",
    "tests/journal/rollback/test_totals.py",
    "tests/journal/rollback/test_types.py",
    "tests/journal/steps/test_async.py",
    "tests/journal/steps/test_binding.py",
    "tests/journal/steps/test_crashes.py",
    "tests/journal/steps/test_external.py",
    "tests/journal/steps/test_frameworks.py",
    "tests/journal/steps/test_interleavings.py",
    "tests/journal/steps/test_isolation.py",
    "tests/journal/steps/test_keys.py",
    "tests/journal/steps/test_lazy_binding.py",
    "tests/journal/steps/test_races.py",
    "tests/journal/steps/test_replay.py",
    "tests/journal/steps/test_sqlalchemy.py",
    "tests/journal/steps/test_steps.py",
    "tests/journal/steps/test_tools.py",
    "tests/outbox/test_inbox.py",
    "tests/outbox/test_seal_stress.py",
    "tests/test_pgbench.py",
)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """The run as a plain owner repeats what touches a database, but for suites in which rights decide nothing."""
    chosen = [item for item in items if not (BRIEF and item.get_closest_marker("long"))]
    if rig.ROLE == "owner":
        chosen = [item for item in chosen if "postgres" in getattr(item, "fixturenames", ()) and not _indifferent(item)]
    kept = set(chosen)
    config.hook.pytest_deselected(items=[item for item in items if item not in kept])
    items[:] = chosen


def _indifferent(item: pytest.Item) -> bool:
    left_out = RIGHTS_DECIDE_NOTHING + (REPEATED_IN_CI if BRIEF else ())
    return any(part in item.nodeid for part in left_out)


@pytest.fixture(scope="session")
def postgres() -> Iterator[rig.Cluster]:
    """This worker's cluster: to make roles and databases of a test's own. Tests that crash a server start their own."""
    with rig.cluster() as cluster:
        yield cluster


@pytest.fixture
def database(postgres: rig.Cluster) -> Iterator[str]:
    """The name of a fresh clone of the migrated template."""
    with postgres.database(template=rig.TEMPLATE) as name:
        yield name


@pytest.fixture
def dsn(postgres: rig.Cluster, database: str) -> str:
    """The URL of a fresh migrated database, as the role of this run (superuser or plain owner)."""
    return postgres.dsn(database)


@pytest.fixture
def superuser_dsn(postgres: rig.Cluster, database: str) -> str:
    """The same database as `dsn`, as the superuser."""
    return postgres.superuser_dsn(database)


@pytest.fixture
def empty_dsn(postgres: rig.Cluster) -> Iterator[str]:
    """The URL of an empty database that nobody has migrated."""
    with postgres.database() as name:
        yield postgres.dsn(name)


@pytest.fixture
def conn(dsn: str) -> Iterator[psycopg.Connection]:
    """A connection to the test's database, with autocommit on."""
    with psycopg.connect(dsn, autocommit=True) as connection:
        yield connection


@pytest.fixture
async def aconn(dsn: str) -> AsyncIterator[psycopg.AsyncConnection]:
    """An asynchronous connection to the test's database, with autocommit on."""
    async with await psycopg.AsyncConnection.connect(dsn, autocommit=True) as connection:
        yield connection


@pytest.fixture(scope="session")
def nats() -> Iterator[NatsServer]:
    """This worker's NATS server with JetStream. Tests that kill a server start their own."""
    with start_nats() as server:
        yield server


@pytest.fixture(scope="session")
def redis() -> Iterator[RedisServer]:
    """This worker's Redis server. Tests that kill a server, or change its settings, start their own."""
    with start_redis() as server:
        yield server


@pytest.fixture
def stream() -> str:
    """A name, of a stream or a table, that no other test uses."""
    return f"TEST_{secrets.token_hex(6).upper()}"
