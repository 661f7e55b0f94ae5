"""Connection strings: what is accepted, what is refused, and that no refusal quotes a secret."""

import pytest
from psycopg.conninfo import conninfo_to_dict

from outbox.pg.dsn import DsnError, resolve_dsn


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("postgresql://u:p@h/db", {"user": "u", "password": "p", "host": "h", "dbname": "db"}),
        ("postgres://h/db", {"host": "h", "dbname": "db"}),
        ("host=h dbname=db", {"host": "h", "dbname": "db"}),
        (
            "postgresql+psycopg://u:p%40x@h:5433/db",
            {"user": "u", "password": "p@x", "host": "h", "port": "5433", "dbname": "db"},
        ),
        ("postgresql+asyncpg://h/db?ssl=true&command_timeout=5", {"host": "h", "dbname": "db", "sslmode": "require"}),
        ("postgresql+asyncpg://h/db?timeout=7", {"host": "h", "dbname": "db", "connect_timeout": "7"}),
        ("postgresql+psycopg2://u@/db?host=a:1&host=b:2", {"user": "u", "host": "a,b", "port": "1,2", "dbname": "db"}),
        ("postgresql+psycopg://u@/db?host=/var/run", {"user": "u", "host": "/var/run", "dbname": "db"}),
        ("postgresql://[::1]:5432/db", {"host": "::1", "port": "5432", "dbname": "db"}),
    ],
)
def test_database_url_becomes_what_libpq_reads(url: str, expected: dict[str, str]) -> None:
    assert conninfo_to_dict(resolve_dsn(None, {"DATABASE_URL": url})) == expected


def test_the_option_comes_before_the_variable() -> None:
    assert resolve_dsn("host=a", {"DATABASE_URL": "host=b"}) == "host=a"


def test_without_both_everything_is_left_to_libpq() -> None:
    assert resolve_dsn(None, {}) == ""


@pytest.mark.parametrize(
    "url",
    [
        "mysql://root:s3cret@h/db",
        "postgresql://u:s3cret/x@h/db",
        "postgresql://u:x?s3cret=1@h/db",
        "postgresql://u:s3cret@h:99999/db",
        "postgresql://u:s3cret@h/db?nonsense=1",
        "postgresql://u:%zz@h/db",
        "host=h password='s3cret dbname",
        "nonsense",
    ],
)
def test_a_malformed_string_is_refused_without_quoting_it(url: str) -> None:
    with pytest.raises(DsnError) as refused:
        resolve_dsn(None, {"DATABASE_URL": url})
    assert "s3cret" not in str(refused.value) + refused.value.hint
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    "text", ["postgresql://u:s3cret@h/db", "host=h password=s3cret", "postgresql://h/db?password=s3cret"]
)
def test_a_password_on_the_command_line_is_refused(text: str) -> None:
    with pytest.raises(DsnError, match="password") as refused:
        resolve_dsn(text, {})
    assert "s3cret" not in str(refused.value)
