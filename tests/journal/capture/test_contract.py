"""The views are the contract: names, types and order of columns, and a comment on each."""

from __future__ import annotations

import psycopg
import pytest

from tests.journal.capture.support import rows

_COLUMNS = {
    "statements": """statement_id bigint, session_id uuid, step_id uuid, transaction_id xid8, relation regclass, table_name text,
        operation text, rows bigint, executed_at timestamptz, db_user name, db_role name, segment text""",
    "changes": """session_id uuid, step_id uuid, statement_id bigint, transaction_id xid8, changed_at timestamptz, db_user name,
        db_role name, relation regclass, table_name text, operation text, key jsonb, before jsonb, after jsonb,
        changed_columns text[], elided_columns text[]""",
    "coverage": """relation regclass, table_name text, status text, reason text, fix text, writers text,
        undo boolean, truncate text, key_columns text[], excluded_columns text[], counter_columns text[], maintained_columns text[],
        covered_at timestamptz,
        gap_since timestamptz, oldest_image_at timestamptz""",
    "segments": """segment text, relation regclass, table_name text, shape integer, from_at timestamptz, until_at timestamptz,
        images bigint, bytes bigint, droppable boolean""",
}
_TYPES = {"timestamp with time zone": "timestamptz"}


@pytest.mark.parametrize("view", _COLUMNS)
def test_columns_are_as_documented(conn: psycopg.Connection, view: str) -> None:
    found = rows(
        conn,
        """select attname as name, format_type(atttypid, null) as type, col_description(attrelid, attnum) as comment
             from pg_attribute where attrelid = %s::regclass and attnum > 0 order by attnum""",
        f"journal.{view}",
    )
    documented = [tuple(column.split()) for column in _COLUMNS[view].split(",")]
    assert [(r["name"], _TYPES.get(r["type"], r["type"])) for r in found] == documented
    assert [r["name"] for r in found if not r["comment"]] == []


def test_every_function_says_what_it_is_and_none_of_the_definers_can_be_fooled(conn: psycopg.Connection) -> None:
    """[33] A definer function pins its search_path, with pg_temp last."""
    found = rows(
        conn,
        """select proname, prosecdef, proconfig, obj_description(oid, 'pg_proc') as comment from pg_proc
            where pronamespace = 'journal'::regnamespace""",
    )
    assert [r["proname"] for r in found if not r["comment"]] == []
    pinned = {
        r["proname"]: [c for c in r["proconfig"] or [] if c.startswith("search_path")] for r in found if r["prosecdef"]
    }
    assert {name for name, path in pinned.items() if path != ["search_path=pg_catalog, pg_temp"]} == set()


def test_pinned_settings_are_the_same_everywhere(conn: psycopg.Connection) -> None:
    """The settings of the functions that read images stand in their own files, those of capture in one function."""
    conn.execute("create type mood as enum ('ok'); create table t (id int primary key, m mood)")
    conn.execute("select journal.cover('t')")
    found = rows(conn, "select proname, proconfig from pg_proc where proname in ('capture_1', 'images', 'row_images')")
    settings = {r["proname"]: sorted(r["proconfig"]) for r in found}
    assert settings["images"] == settings["row_images"] == settings["capture_1"]


def test_no_capture_is_compiled(conn: psycopg.Connection) -> None:
    """[19] JIT, where it is on, costs a bulk statement more than capture does."""
    conn.execute("create table t (id int primary key)")
    conn.execute("select journal.cover('t')")
    (found,) = rows(conn, "select proconfig from pg_proc where proname = 'capture_1'")
    assert "jit=off" in found["proconfig"]
