"""What a statement leaves in the journal. Numbers in brackets are findings of the evidence behind the design."""

from __future__ import annotations

import psycopg
import pytest

from tests.journal.capture.support import bind, changes, cover, folded, held, one, open_session, rows


@pytest.fixture
def item(conn: psycopg.Connection) -> str:
    """A covered table with five rows that were there before."""
    conn.execute("create table item (id int primary key, name text, price numeric)")
    conn.execute("insert into item select g, 'item ' || g, g * 1.50 from generate_series(1, 5) as g")
    cover(conn, "item")
    return "item"


def test_insert_update_and_delete_leave_both_images(conn: psycopg.Connection, item: str) -> None:
    conn.execute("insert into item values (6, null, 6)")
    conn.execute("update item set price = 3.10 where id = 1")
    conn.execute("delete from item where id = 2")
    assert changes(conn, item) == [
        ("INSERT", None, {"id": "6", "name": None, "price": "6"}),
        ("UPDATE", {"id": "1", "name": "item 1", "price": "1.50"}, {"id": "1", "name": "item 1", "price": "3.10"}),
        ("DELETE", {"id": "2", "name": "item 2", "price": "3.00"}, None),
    ]


def test_the_ledger_tells_who_and_what(conn: psycopg.Connection, item: str) -> None:
    conn.execute("update item set price = 0 where id <= 3")
    (statement,) = rows(conn, "select * from journal.statements")
    assert (statement["operation"], statement["rows"], statement["table_name"]) == ("UPDATE", 3, "public.item")
    assert statement["session_id"] is None
    assert statement["db_user"] == statement["db_role"] == one(conn, "select session_user")
    assert statement["relation"] == item


def test_statements_that_touch_no_row_leave_nothing(conn: psycopg.Connection, item: str) -> None:
    """[21] Neither a ledger row nor a transaction id: such a transaction has nothing to flush."""
    with conn.transaction():
        conn.execute("update item set price = 0 where id > 100")
        conn.execute("delete from item where id > 100")
        conn.execute("insert into item select * from item where id > 100")
        conn.execute("insert into item values (1, '', 0) on conflict do nothing")
        assert one(conn, "select pg_current_xact_id_if_assigned() is null") or one(
            conn, "select count(*) = 0 from journal.statements"
        )
    assert changes(conn, item) == []


def test_one_row_ten_times_then_twenty_thousand(conn: psycopg.Connection, item: str) -> None:
    """[20] Plans on transition tables are cached at the first row count: a nested loop would take minutes here."""
    conn.execute("insert into item select g, '', 0 from generate_series(6, 20005) as g")
    for _ in range(10):
        conn.execute("update item set price = price + 1 where id = 7")
    conn.execute("set statement_timeout = '20s'")
    conn.execute("update item set price = price + 1 where id > 5")
    assert one(conn, "select rows from journal.statements order by statement_id desc limit 1") == 20000
    assert item


def test_the_memory_that_a_bulk_update_borrows_is_given_back(conn: psycopg.Connection, item: str) -> None:
    with conn.transaction():
        conn.execute("set local work_mem = '1MB'")
        conn.execute("update item set price = 0")
        assert one(conn, "select current_setting('work_mem')") == "1MB"
        conn.execute("set work_mem = '2MB'")
        conn.execute("update item set price = 1")
    assert (one(conn, "select current_setting('work_mem')"), len(changes(conn, item))) == ("2MB", 10)


def test_rows_that_a_statement_changes_twice_are_paired_once(conn: psycopg.Connection) -> None:
    """[2] Two foreign keys set null by one delete: foreign-key actions share a statement's transition tables."""
    conn.execute("create table u (id int primary key)")
    conn.execute("""create table doc (id int primary key, created_by int references u on delete set null,
                                      updated_by int references u on delete set null)""")
    conn.execute("insert into u values (1); insert into doc values (10, 1, 1)")
    cover(conn, "doc")
    conn.execute("delete from u")
    recorded = changes(conn, "doc")
    assert all(operation == "UPDATE" and before and after for operation, before, after in recorded)
    befores = [before for _, before, _ in recorded]
    afters = [after for _, _, after in recorded]
    first, last = (
        {"id": "10", "created_by": "1", "updated_by": "1"},
        {"id": "10", "created_by": None, "updated_by": None},
    )
    assert len(recorded) == 2
    assert [b for b in befores if b not in afters] == [first]
    assert [a for a in afters if a not in befores] == [last]


def test_a_changed_key_is_one_change_with_both_sides(conn: psycopg.Connection, item: str) -> None:
    """[3] Half rows would have to be undone as delete and insert, and children would go with the delete."""
    conn.execute("update item set id = id + 70 where id in (1, 2)")
    keys = [(r["key"], r["before"]["id"], r["after"]["id"]) for r in rows(conn, "select * from journal.changes")]
    assert keys == [({"id": "71"}, "1", "71"), ({"id": "72"}, "2", "72")]
    assert item


def test_keys_that_swap_are_paired_by_row(conn: psycopg.Connection, item: str) -> None:
    conn.execute("alter table item drop constraint item_pkey, add primary key (id) deferrable initially deferred")
    cover(conn, "item")
    conn.execute("update item set id = 3 - id where id in (1, 2)")
    assert [(b["name"], a["name"]) for _, b, a in changes(conn, item) if b and a] == [
        ("item 1", "item 1"),
        ("item 2", "item 2"),
    ]


def test_children_that_follow_a_key_are_recorded(conn: psycopg.Connection, item: str) -> None:
    conn.execute("create table part (id int primary key, item int references item on update cascade on delete cascade)")
    conn.execute("insert into part values (1, 1), (2, 2)")
    cover(conn, "part")
    conn.execute("update item set id = 11 where id = 1")
    conn.execute("delete from item where id = 2")
    assert changes(conn, "part") == [
        ("UPDATE", {"id": "1", "item": "1"}, {"id": "1", "item": "11"}),
        ("DELETE", {"id": "2", "item": "2"}, None),
    ]
    assert item


def test_a_cascade_is_one_statement_for_each_table(conn: psycopg.Connection, item: str) -> None:
    """[24] Foreign-key actions run row by row, but fire the triggers once, at depth 1."""
    conn.execute("create table part (id int primary key, item int references item on delete cascade)")
    conn.execute("insert into part select g, g % 5 + 1 from generate_series(1, 20) as g")
    cover(conn, "part")
    conn.execute("delete from item")
    found = rows(
        conn,
        "select relation::text, rows, depth from journal.statements join journal.statement using (statement_id, rows)",
    )
    assert sorted((r["relation"], r["rows"], r["depth"]) for r in found) == [("item", 5, 1), ("part", 20, 1)]
    assert item


def test_ctes_that_write_one_table_are_one_statement(conn: psycopg.Connection, item: str) -> None:
    """[25] They share their transition tables."""
    conn.execute("with a as (update item set price = 1 where id = 1) update item set price = 2 where id = 2")
    assert [r["rows"] for r in rows(conn, "select rows from journal.statements")] == [2]
    assert [after and after["id"] for _, _, after in changes(conn, item)] == ["2", "1"]


@pytest.mark.parametrize("moment", ["before", "after"])
def test_changes_of_triggers_fold_to_what_is_stored(conn: psycopg.Connection, moment: str) -> None:
    """[1] Nested statements are recorded before the statement that fired them; only the multiset of images is certain."""
    conn.execute("create table note (id int primary key, code text)")
    returned = "new" if moment == "before" else "null"
    body = "new.code := 'B';" if moment == "before" else "update note set code = 'C' || new.id where id = new.id;"
    conn.execute(
        f"create function code() returns trigger language plpgsql as $$ begin {body} return {returned}; end $$"
    )
    conn.execute(f"create trigger code {moment} insert on note for each row execute function code()")
    cover(conn, "note")
    conn.execute("insert into note values (1, null), (2, null)")
    assert folded(conn, "note") == held(conn, "note")


def test_upserts_and_merges_are_a_statement_for_each_kind_of_change(conn: psycopg.Connection, item: str) -> None:
    conn.execute(
        "insert into item values (1, 'new', 0), (6, 'six', 6) on conflict (id) do update set name = excluded.name"
    )
    conn.execute("""merge into item using (values (2), (7)) as v (id) on item.id = v.id
                    when matched then delete when not matched then insert values (v.id, 'seven', 7)""")
    assert sorted((r["operation"], r["rows"]) for r in rows(conn, "select * from journal.statements")) == [
        ("DELETE", 1), ("INSERT", 1), ("INSERT", 1), ("UPDATE", 1),
    ]  # fmt: skip
    assert item


def test_copy_and_writing_ctes_are_recorded(conn: psycopg.Connection, item: str) -> None:
    with conn.cursor().copy("copy item from stdin") as copy:
        copy.write("10\tten\t\\N\n11\televen\t1.0\n")
    conn.execute(
        "with gone as (delete from item where id = 10 returning *) insert into item select id + 10, name, price from gone"
    )
    assert [(operation, (after or before or {})["id"]) for operation, before, after in changes(conn, item)][:2] == [
        ("INSERT", "10"), ("INSERT", "11"),
    ]  # fmt: skip
    assert sorted(operation for operation, _, _ in changes(conn, item)) == ["DELETE", "INSERT", "INSERT", "INSERT"]


def test_writes_through_views_and_functions_are_recorded(conn: psycopg.Connection, item: str) -> None:
    conn.execute("create view cheap as select id, price from item where price < 5")
    conn.execute("create function raise_all() returns void language sql as 'update cheap set price = price + 1'")
    conn.execute("select raise_all()")
    assert len(changes(conn, item)) == 3


def test_a_rolled_back_savepoint_leaves_nothing(conn: psycopg.Connection, item: str) -> None:
    with conn.transaction():
        conn.execute("update item set price = 1 where id = 1")
        with conn.transaction(force_rollback=True):
            conn.execute("update item set price = 2 where id = 2")
    assert [before and before["id"] for _, before, _ in changes(conn, item)] == ["1"]


@pytest.mark.parametrize("private", ["segment_1", "statement"])
def test_what_cannot_be_recorded_fails_and_names_the_table(
    conn: psycopg.Connection, superuser_dsn: str, item: str, private: str
) -> None:
    """Such as a full disk: here, a right that the journal's owner lost. Nothing is half recorded."""
    with psycopg.connect(superuser_dsn, autocommit=True) as admin:
        admin.execute(
            f"alter table journal.{private} owner to journal_owner; revoke insert on journal.{private} from journal_owner".encode()
        )
    for write in ("update item set price = 0", "update item set price = 1 where id = 1", "delete from item"):
        with pytest.raises(psycopg.errors.InsufficientPrivilege) as refused:
            conn.execute(write.encode())
        assert "journal: changes of public.item" in (refused.value.diag.context or "")
    assert changes(conn, item) == []
    assert one(conn, "select sum(price) from item") == 22.5


@pytest.mark.parametrize("bound", [False, True])
def test_serializable_transactions_on_different_rows_do_not_fail_each_other(
    dsn: str, conn: psycopg.Connection, item: str, bound: bool
) -> None:
    """[30] Neither capture nor bind looks up what another transaction's capture or bind writes."""
    conn.execute("insert into item select g, '', 0 from generate_series(6, 5000) as g")
    conn.execute("analyze item")
    sessions = [open_session(conn) for _ in range(4)]
    writers = [psycopg.connect(dsn, autocommit=True) for _ in sessions]
    for n, (writer, session) in enumerate(zip(writers, sessions, strict=True)):
        writer.execute("begin isolation level serializable")
        if bound:
            bind(writer, session)
        writer.execute("update item set price = 1 where id = %s", (n * 1000 + 10,))
    for writer in writers:
        writer.execute("commit")
        writer.close()
    assert one(conn, "select count(*) from journal.statements where operation = 'UPDATE'") == 4
    assert one(conn, "select count(session_id) from journal.statements") == (4 if bound else 0)
    assert item
