"""`migrate`: history adds up to the present, whoever runs it, and refuses what it cannot do whole."""

from __future__ import annotations

import io
import subprocess
import threading
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
import sqlalchemy as sa
from alembic.operations import Operations
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy.ext.asyncio import create_async_engine

import journal.alembic
from journal.errors import JournalError, SchemaVersionError
from journal.migrate import Migration, migrate, migration_sql, roles_sql, status
from migrations.freeze import BASELINE, RELEASED, baseline_text
from outbox.pg.resources import GROUP_ROLES, expected_revision, install_sql, revisions
from tests import rig
from tests.catalog import describe

HEAD = expected_revision()
SQL = BASELINE.parent.parent.parent / "sql"


def run_sql(dsn: str, script: str) -> None:
    with psycopg.connect(dsn) as conn:
        conn.execute(script.encode())


def owners(dsn: str) -> set[str]:
    return {fact.split(" = ")[1] for fact in describe(dsn) if ": owner = " in fact}


@pytest.fixture
def plain(postgres: rig.Cluster) -> str:
    """A login role that may create nothing but what is in a database of its own."""
    return postgres.create_role()


@pytest.fixture
def plain_dsn(postgres: rig.Cluster, plain: str) -> Iterator[str]:
    """An empty database that the plain role owns."""
    with postgres.database(owner=plain) as name:
        yield postgres.dsn(name, role=plain)


@pytest.fixture
def bare() -> Iterator[rig.Cluster]:
    """A cluster without any role of ours."""
    cluster = rig.Cluster(rig.start_server(), role="postgres")
    yield cluster
    cluster.close()


# -- the past adds up to the present


def test_the_first_revision_is_frozen_from_today_until_it_is_released() -> None:
    assert RELEASED or BASELINE.read_text(encoding="utf-8") == baseline_text(), "run `make freeze`"


def test_migrations_add_up_to_the_present(empty_dsn: str, postgres: rig.Cluster) -> None:
    migrate(empty_dsn, no_roles=True)
    with postgres.database() as name:
        run_sql(postgres.dsn(name), install_sql())
        assert describe(empty_dsn) == describe(postgres.dsn(name))


def test_with_roles_only_owners_and_their_privileges_differ(dsn: str, empty_dsn: str) -> None:
    run_sql(empty_dsn, install_sql())
    ownership = ("owner", "privileges")
    assert describe(dsn, without=ownership) == describe(empty_dsn, without=ownership)


def test_psql_runs_the_present_verbatim(empty_dsn: str, dsn: str, postgres: rig.Cluster) -> None:
    psql = postgres.server.bin_dir / "psql"
    command = [str(psql), "--no-psqlrc", "-v", "ON_ERROR_STOP=1", "-q", "-d", empty_dsn, "-f", str(SQL / "install.sql")]
    subprocess.run(command, check=True, capture_output=True)
    ownership = ("owner", "privileges")
    assert describe(empty_dsn, without=ownership) == describe(dsn, without=ownership)


def test_the_printed_script_does_what_migrate_does(empty_dsn: str, dsn: str) -> None:
    run_sql(empty_dsn, migration_sql())
    assert describe(empty_dsn) == describe(dsn)
    assert migrate(empty_dsn) == Migration(HEAD, HEAD)


def test_the_printed_script_without_roles(plain_dsn: str, plain: str) -> None:
    run_sql(plain_dsn, migration_sql(no_roles=True))
    assert status(plain_dsn).current
    assert owners(plain_dsn) == {plain}


def test_the_known_revisions_are_those_of_alembic() -> None:
    script = ScriptDirectory(str(BASELINE.parent.parent))
    assert script.get_current_head() == HEAD
    assert {revision.revision for revision in script.walk_revisions()} == set(revisions())


def test_every_object_has_a_file_named_in_the_index() -> None:
    """A file that install.sql forgets would be missing from every database."""
    index = install_sql()
    files = {str(path.relative_to(SQL)) for path in SQL.rglob("*.sql")} - {"install.sql", "roles.sql"}
    assert {name for name in files if f"-- sql/{name}\n" not in index} == set()


# -- who runs it


def test_an_empty_database_is_reported_and_migrated(empty_dsn: str) -> None:
    assert status(empty_dsn).found is None
    assert migrate(empty_dsn) == Migration(None, HEAD)
    assert status(empty_dsn).current


def test_migrating_twice_changes_nothing(dsn: str) -> None:
    before = describe(dsn)
    assert migrate(dsn) == Migration(HEAD, HEAD)
    assert describe(dsn) == before


def test_everything_belongs_to_journal_owner(dsn: str) -> None:
    assert owners(dsn) == {"journal_owner"}


def test_without_roles_everything_belongs_to_the_migrating_role(plain_dsn: str, plain: str) -> None:
    migrate(plain_dsn, no_roles=True)
    assert owners(plain_dsn) == {plain}


def test_a_plain_owner_uses_the_roles_that_the_dba_made(bare: rig.Cluster) -> None:
    owner = bare.create_role("plain owner")
    with bare.database(owner=owner) as name:
        run_sql(bare.superuser_dsn(name), roles_sql(owner))
        migrate(bare.dsn(name, role=owner))
        assert owners(bare.dsn(name)) == {"journal_owner"}


def test_an_owner_who_may_create_roles_needs_no_dba(bare: rig.Cluster) -> None:
    owner = bare.create_role(options="createrole")
    with bare.database(owner=owner) as one, bare.database(owner=owner) as two:
        migrate(bare.dsn(one, role=owner))
        migrate(bare.dsn(two, role=owner))
        assert owners(bare.dsn(two)) == {"journal_owner"}


def test_a_plain_owner_without_roles_is_told_what_to_do(bare: rig.Cluster) -> None:
    owner = bare.create_role()
    with bare.database(owner=owner) as name:
        with pytest.raises(JournalError, match="journal_owner") as refused:
            migrate(bare.dsn(name, role=owner))
        assert refused.value.hint is not None
        assert "--roles-sql" in refused.value.hint
        assert "--no-roles" in refused.value.hint
        assert describe(bare.dsn(name)) == []


def test_a_plain_owner_who_may_not_act_as_the_owner_is_told_what_to_do(plain_dsn: str) -> None:
    with pytest.raises(JournalError, match="journal_owner") as refused:
        migrate(plain_dsn)
    assert "--roles-sql" in str(refused.value.hint)
    assert describe(plain_dsn) == []


def test_a_role_that_may_not_create_schemas_is_told_so(postgres: rig.Cluster, plain: str) -> None:
    with postgres.database() as name:
        with pytest.raises(JournalError, match="permission denied") as refused:
            migrate(postgres.dsn(name, role=plain), no_roles=True)
        assert "owner" in str(refused.value.hint)


# -- what it refuses


def test_a_newer_database_is_refused(dsn: str, superuser_dsn: str) -> None:
    run_sql(superuser_dsn, "update journal.schema_version set version_num = '9999'")
    with pytest.raises(SchemaVersionError, match="9999") as refused:
        migrate(dsn)
    assert (refused.value.found, refused.value.expected) == ("9999", HEAD)
    assert status(dsn).found == "9999"


def test_an_unknown_revision_is_refused(empty_dsn: str) -> None:
    with pytest.raises(JournalError, match="0000"):
        migrate(empty_dsn, to="0000")
    assert describe(empty_dsn) == []


def test_a_failure_leaves_nothing_behind(empty_dsn: str) -> None:
    run_sql(empty_dsn, "create schema relay; create view relay.in_the_way as select 1")
    with pytest.raises(JournalError, match="owner of schema relay"):
        migrate(empty_dsn)
    assert status(empty_dsn).found is None
    assert not [fact for fact in describe(empty_dsn) if "journal." in fact]


# -- at the same time


def test_two_migrators_take_turns(empty_dsn: str) -> None:
    assert sorted(map(str, together(empty_dsn, empty_dsn))) == sorted(
        map(str, [Migration(None, HEAD), Migration(HEAD, HEAD)])
    )


def test_two_databases_of_one_cluster_may_be_migrated_at_once(bare: rig.Cluster) -> None:
    with bare.database() as one, bare.database() as two:
        assert together(bare.dsn(one), bare.dsn(two)) == [Migration(None, HEAD)] * 2
    with psycopg.connect(bare.dsn("postgres")) as conn:
        found = conn.execute("select count(*) from pg_roles where rolname = any (%s)", [list(GROUP_ROLES)]).fetchone()
    assert found == (len(GROUP_ROLES),)


def together(*dsns: str) -> list[Migration | BaseException]:
    """Migrate all of them from threads that start at the same moment."""
    results: list[Migration | BaseException] = []
    start = threading.Barrier(len(dsns))

    def run(dsn: str) -> None:
        start.wait()
        try:
            results.append(migrate(dsn))
        except JournalError as error:
            results.append(error)

    threads = [threading.Thread(target=run, args=[dsn]) for dsn in dsns]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return results


# -- inside a host's own migration


def url(dsn: str, driver: str) -> str:
    return dsn.replace("postgresql://", f"postgresql+{driver}://")


@pytest.mark.parametrize("driver", ["psycopg", "psycopg2"])
def test_a_host_migrates_us_in_its_own_transaction(empty_dsn: str, driver: str) -> None:
    engine = sa.create_engine(url(empty_dsn, driver), poolclass=sa.NullPool)
    with engine.connect() as connection:
        journal.alembic.upgrade(connection)
        assert connection.scalar(sa.text("select current_user = session_user"))
        connection.rollback()
    assert status(empty_dsn).found is None
    with engine.begin() as connection:
        assert journal.alembic.upgrade(connection).changed
    assert status(empty_dsn).current


@pytest.mark.parametrize("driver", ["psycopg", "asyncpg"])
async def test_a_host_with_an_async_engine(empty_dsn: str, driver: str) -> None:
    engine = create_async_engine(url(empty_dsn, driver), poolclass=sa.NullPool)
    async with engine.begin() as connection:
        await connection.run_sync(journal.alembic.upgrade)
    await engine.dispose()
    assert status(empty_dsn).current


def test_autogenerate_passes_over_our_schemas() -> None:
    assert not journal.alembic.include_name("journal", "schema", {})
    assert not journal.alembic.include_name("sessions", "table", {"schema_name": "journal"})
    assert journal.alembic.include_name("public", "schema", {})
    assert journal.alembic.include_name("orders", "table", {"schema_name": None})


def test_a_table_is_covered_in_a_host_revision(empty_dsn: str) -> None:
    engine = sa.create_engine(url(empty_dsn, "psycopg"), poolclass=sa.NullPool)
    with engine.begin() as connection:
        journal.alembic.upgrade(connection)
        operations: Any = Operations(MigrationContext.configure(connection))
        operations.execute("create table public.orders (id int primary key, note text, secret text)")
        operations.cover_table("public.orders", agents_only=True, exclude=["secret"])
        covered = sa.text(
            "select status, writers, excluded_columns from journal.coverage where table_name = 'public.orders'"
        )
        assert connection.execute(covered).one() == ("covered", "agents", ["secret"])


def test_a_host_may_print_the_cover_of_a_table() -> None:
    script = io.StringIO()
    context = MigrationContext.configure(
        dialect_name="postgresql", opts={"as_sql": True, "literal_binds": True, "output_buffer": script}
    )
    operations: Any = Operations(context)
    operations.cover_table("public.orders", audit_only=True, counters=["clicks"])
    assert script.getvalue().strip() == (
        "select journal.cover(cast('public.orders' as regclass), undo => false, counters => ARRAY['clicks']);"
    )
