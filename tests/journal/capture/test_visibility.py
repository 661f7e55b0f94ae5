"""Images are shown to whoever may select the column now; what no privilege can decide is the auditor's."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import psycopg
import pytest

from tests import rig
from tests.journal.capture.support import cover, rows

pytestmark = pytest.mark.usefixtures("t")


@pytest.fixture
def admin(superuser_dsn: str) -> Iterator[psycopg.Connection]:
    with psycopg.connect(superuser_dsn, autocommit=True) as connection:
        yield connection


@pytest.fixture
def t(conn: psycopg.Connection) -> str:
    conn.execute("create table t (id int primary key, name text, secret text)")
    cover(conn, "t")
    conn.execute("insert into t values (1, 'a', 's'); update t set secret = 't'")
    return "t"


@pytest.fixture
def reader(postgres: rig.Cluster, admin: psycopg.Connection) -> Iterator[str]:
    name = postgres.create_role()
    admin.execute(f"grant journal_reader to {name}".encode())
    yield name
    admin.execute(f"reset role; drop owned by {name}; drop role {name}".encode())


def seen(postgres: rig.Cluster, database: str, role: str) -> list[dict[str, Any]]:
    with psycopg.connect(postgres.dsn(database, role=role), autocommit=True) as conn:
        return rows(conn, "select key, before, after, changed_columns from journal.changes order by statement_id")


def test_without_the_right_to_select_nothing_is_shown(postgres: rig.Cluster, database: str, reader: str) -> None:
    assert seen(postgres, database, reader) == [
        {"key": {}, "before": None, "after": {}, "changed_columns": None},
        {"key": {}, "before": {}, "after": {}, "changed_columns": []},
    ]


def test_columns_are_shown_as_they_are_granted(
    postgres: rig.Cluster, database: str, admin: psycopg.Connection, reader: str
) -> None:
    admin.execute(f"grant select (id, name) on t to {reader}".encode())
    image = {"id": "1", "name": "a"}
    assert seen(postgres, database, reader) == [
        {"key": {"id": "1"}, "before": None, "after": image, "changed_columns": None},
        {"key": {"id": "1"}, "before": image, "after": image, "changed_columns": []},
    ]
    admin.execute(f"grant select on t to {reader}".encode())
    assert seen(postgres, database, reader)[1]["changed_columns"] == ["secret"]


@pytest.mark.parametrize("ddl", ["alter table t enable row level security", "drop table t"])
def test_row_security_and_dropped_tables_are_the_auditors(
    postgres: rig.Cluster, database: str, admin: psycopg.Connection, reader: str, ddl: str
) -> None:
    admin.execute(f"grant select on t to {reader}".encode())
    admin.execute(ddl.encode())
    assert [r["after"] for r in seen(postgres, database, reader)] == [{}, {}]
    admin.execute(f"grant journal_auditor to {reader}".encode())
    assert seen(postgres, database, reader)[1]["after"] == {"id": "1", "name": "a", "secret": "t"}


def test_a_dropped_column_is_the_auditors(
    postgres: rig.Cluster, database: str, admin: psycopg.Connection, reader: str
) -> None:
    admin.execute(f"grant select on t to {reader}; alter table t drop column secret".encode())
    assert seen(postgres, database, reader)[1]["after"] == {"id": "1", "name": "a"}


def test_the_role_set_decides(admin: psycopg.Connection, reader: str) -> None:
    admin.execute(f"grant select on t to {reader}".encode())
    admin.execute(f"set role {reader}".encode())
    assert rows(admin, "select after from journal.changes limit 1")[0]["after"] != {}
    admin.execute("reset role")
    admin.execute(f"revoke select on t from {reader}; set role {reader}".encode())
    assert rows(admin, "select after from journal.changes limit 1")[0]["after"] == {}


def test_keys_cannot_be_probed_by_history(
    postgres: rig.Cluster, database: str, admin: psycopg.Connection, reader: str
) -> None:
    with psycopg.connect(postgres.dsn(database, role=reader), autocommit=True) as conn:
        query = "select * from journal.row_history('t', '{\"id\": 1}')"
        assert rows(conn, query) == []
        admin.execute(f"grant select (id) on t to {reader}".encode())
        assert len(rows(conn, query)) == 2


def test_tables_of_the_journal_are_private(postgres: rig.Cluster, database: str, reader: str) -> None:
    with psycopg.connect(postgres.dsn(database, role=reader), autocommit=True) as conn:
        for name in ("statement", "segment_1", "secret", "binding", "segment", "covered_table"):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                conn.execute(f"select * from journal.{name}".encode())
