"""The SQL functions: names, named arguments with their defaults, and what they return. Any language calls these."""

from __future__ import annotations

import re

import psycopg
import pytest

from tests import rig

_ROLLBACK = """on_conflict text DEFAULT 'refuse', expected_digest text DEFAULT NULL, reason text DEFAULT '',
    max_rows bigint DEFAULT NULL, step_ids uuid[] DEFAULT NULL, wait interval DEFAULT '00:00:30'"""
# More may follow the arguments that are promised, with a default.
FUNCTIONS = {
    "journal.open_session": (
        """agent text, task text DEFAULT '', parent uuid DEFAULT NULL, details jsonb DEFAULT '{}', run_id text DEFAULT NULL,
        tenant text DEFAULT '', hold text DEFAULT NULL""",
        "uuid",
    ),
    "journal.close_session": ("session_id uuid, status text DEFAULT 'closed', reason text DEFAULT NULL", "void"),
    "journal.bind": ("session_id uuid, step_id uuid DEFAULT NULL", "xid8"),
    "journal.begin_step": (
        """session_id uuid, tool text, key text DEFAULT NULL, arguments jsonb DEFAULT NULL, attempt integer DEFAULT 1,
        wait interval DEFAULT '00:00:10', details jsonb DEFAULT NULL, kind text DEFAULT NULL""",
        "step_id uuid, replayed boolean, result jsonb, receipt_id uuid",
    ),
    "journal.complete_step": ("step_id uuid, result jsonb DEFAULT NULL", "uuid"),
    "journal.stop_session": ("session_id uuid, reason text DEFAULT ''", "void"),
    "journal.stop_agent": ("agent text, reason text DEFAULT ''", "void"),
    "journal.session_changes": ("session_id uuid", "SETOF journal.changes"),
    "journal.row_history": ("relation regclass, key jsonb", "SETOF journal.changes"),
    "journal.plan_rollback": (
        "session_ids uuid[], step_ids uuid[] DEFAULT NULL, on_conflict text DEFAULT 'refuse'",
        "status text, relation regclass, key jsonb,",
    ),
    "journal.rollback": (f"session_id uuid, {_ROLLBACK}", "uuid"),
    "journal.rollback_sessions": (f"session_ids uuid[], {_ROLLBACK}", "uuid"),
    "journal.cover": (
        """relation regclass, writers text DEFAULT 'all', undo boolean DEFAULT true, exclude text[] DEFAULT '{}',
        counters text[] DEFAULT '{}', maintained text[] DEFAULT '{}', truncate text DEFAULT 'capture'""",
        "jsonb",
    ),
    "journal.uncover": ("relation regclass", "void"),
    "outbox.publish": (
        """topic text, key text DEFAULT NULL, data jsonb DEFAULT NULL, headers jsonb DEFAULT '{}', type text DEFAULT NULL,
        hold text DEFAULT NULL, compensation jsonb DEFAULT NULL""",
        "uuid",
    ),
}


@pytest.fixture(scope="module")
def present(postgres: rig.Cluster) -> dict[str, tuple[str, str]]:
    """Arguments and result of each function that there is."""
    query = """select p.oid::regproc::text, pg_get_function_arguments(p.oid), pg_get_function_result(p.oid) from pg_proc p
                where p.pronamespace in ('journal'::regnamespace, 'outbox'::regnamespace)"""
    with postgres.database(template=rig.TEMPLATE) as name, psycopg.connect(postgres.dsn(name)) as conn:
        return {name: (arguments, result) for name, arguments, result in conn.execute(query)}


@pytest.mark.parametrize("function", FUNCTIONS)
def test_a_function_is_called_as_promised(present: dict[str, tuple[str, str]], function: str) -> None:
    arguments, result = present[function]
    taken, _, given = re.sub(r"::[a-z ]+(\[\])?", "", arguments).partition(", OUT ")
    promised, returned = (" ".join(text.split()) for text in FUNCTIONS[function])
    assert taken.startswith(promised)
    assert all(" DEFAULT " in further for further in filter(None, taken.removeprefix(promised).split(", ")))
    assert (given.replace("OUT ", "") or result.removeprefix("TABLE(")).startswith(returned)
