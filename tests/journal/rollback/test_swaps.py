"""Cases 1 and 2: places in unique constraints, indexes and exclusions that the session's rows handed on among themselves."""

from __future__ import annotations

import pytest

from tests.journal.rollback.history import History, report


def test_case_01_deferrable_unique_swap(history: History) -> None:
    """`pos int unique deferrable`; S runs `update t set pos = 3 - pos where id in (1,2)` → RESTORE both, no transient unique
    error."""
    history.given(
        "create table t (id int primary key, pos int unique deferrable)", "insert into t values (1, 1), (2, 2), (3, 3)"
    )
    history.agent("update t set pos = 3 - pos where id in (1, 2)")
    assert history.roll_back().rows == {"restore": 2}
    history.expect_start()


@pytest.mark.parametrize("ids", [2, 3, 7])
def test_case_01_rotation_under_a_deferrable_unique(history: History, ids: int) -> None:
    """The same, in a longer circle."""
    history.given(
        "create table t (id int primary key, pos int unique deferrable)",
        f"insert into t select g, g from generate_series(1, {ids}) g",
    )
    history.agent(f"update t set pos = pos % {ids} + 1")
    assert history.roll_back().rows == {"restore": ids}
    history.expect_start()


def test_case_02_swap_through_a_parking_value(history: History) -> None:
    """NOT DEFERRABLE unique; S swaps through a parking value in three statements → RESTORE."""
    history.given(
        "create table t (id int primary key, pos int not null unique)", "insert into t values (1, 1), (2, 2), (3, 3)"
    )
    history.agent(
        "update t set pos = -1 where id = 1", "update t set pos = 1 where id = 2", "update t set pos = 2 where id = 1"
    )
    done = history.roll_back()
    assert (done.rows, done.changes) == ({"restore": 2}, {"restore": 3})
    history.expect_start()


def test_case_02_swap_by_deleting_and_inserting_again(history: History) -> None:
    """NOT DEFERRABLE unique; S deletes two rows and inserts them again with each other's value → RESTORE: only the rollback
    updates the column."""
    history.given("create table t (id int primary key, pos int unique)", "insert into t values (1, 1), (2, 2)")
    history.agent("delete from t", "insert into t values (1, 2), (2, 1)")
    assert history.roll_back().rows == {"restore": 2}
    history.expect_start()


def test_case_02_shift_by_one(history: History) -> None:
    """A NOT DEFERRABLE unique whose values were all moved up by one, from the top."""
    history.given(
        "create table t (id int primary key, pos int not null unique)",
        "insert into t select g, g from generate_series(1, 5) g",
    )
    history.agent(*(f"update t set pos = pos + 1 where pos = {pos}" for pos in range(5, 0, -1)))
    assert history.roll_back().rows == {"restore": 5}
    history.expect_start()


UNIQUES = [
    ("int not null", "{}"),
    ("int", "{}"),
    ("bigint not null check (v > 0)", "{}"),
    ("numeric(6,2) not null", "{}.5"),
    ("text not null", "v{}"),
    ("varchar(4) not null", "v{}"),
    ("uuid not null", "00000000-0000-0000-0000-00000000000{}"),
    ("date not null", "2024-01-0{}"),
    ("timestamptz not null", "2024-01-0{} 00:00+00"),
    ("jsonb not null", '{{"a": {}}}'),
    ("int[] not null", "{{{}}}"),
    ("bytea not null", "\\x0{}"),
]


@pytest.mark.parametrize(("kind", "value"), UNIQUES)
def test_case_02_swaps_of_any_type(history: History, kind: str, value: str) -> None:
    """A swap and a circle of three, of types that may and may not be NULL."""
    history.given(
        f"create table t (id int primary key, v {kind} unique)",
        *(f"insert into t values ({n}, '{value.format(n)}')" for n in range(1, 7)),
    )
    parked = value.format(9)
    steps = [
        (1, parked),
        (2, value.format(1)),
        (1, value.format(2)),
        (3, parked),
        (4, value.format(3)),
        (5, value.format(4)),
        (3, value.format(5)),
    ]
    history.agent(*(f"update t set v = '{v}' where id = {n}" for n, v in steps))
    assert history.roll_back().rows == {"restore": 5}
    history.expect_start()


def test_case_02_swap_in_a_composite_unique(history: History) -> None:
    """Two columns are unique together, and one of them was swapped."""
    history.given(
        "create table t (id int primary key, list int not null, pos int not null, unique (list, pos))",
        "insert into t values (1, 1, 1), (2, 1, 2), (3, 2, 1), (4, 2, 2)",
    )
    history.agent(
        "update t set pos = 3 where id = 1", "update t set pos = 1 where id = 2", "update t set pos = 2 where id = 1"
    )
    assert history.roll_back().rows == {"restore": 2}
    history.expect_start()


def test_case_02_unique_values_that_have_no_other_to_wait_at(history: History) -> None:
    """The row that has the value goes back first."""
    history.given(
        "create table t (id int primary key, v inet not null unique)",
        "insert into t select n, ('10.0.0.' || n)::inet from generate_series(1, 4) n",
    )
    history.agent(*(f"update t set v = v + 1 where id = {n}" for n in (4, 3, 2, 1)))
    assert history.roll_back().rows == {"restore": 4}
    history.expect_start()


@pytest.mark.parametrize("nulls", ["", "nulls not distinct"])
def test_case_02_swap_of_which_another_column_is_parked(history: History, nulls: str) -> None:
    """Unique together with a column that the session did not change: the rows wait at values of that one, and get it back."""
    history.given(
        "create table t (id int primary key, name text not null, up bool, note text)",
        f"create unique index on t (name, up) include (note) {nulls}",
        "insert into t values (1, 'a', true, 'x'), (2, 'a', false, 'y'), (3, 'b', false, 'z')",
    )
    history.agent(
        "update t set up = null where id = 1",
        "update t set up = true where id = 2",
        "update t set up = false where id = 1",
    )
    history.others("update t set note = 'theirs' where id = 1")
    assert history.roll_back().rows == {"restore": 2}
    assert history.rows("table t") == {(1, "a", True, "theirs"), (2, "a", False, "y"), (3, "b", False, "z")}


def test_case_02_a_circle_of_values_that_leaves_none_to_wait_at(history: History) -> None:
    """Only the rollback itself met the constraint, and named no row. The plan knows, and the rest is undone."""
    history.given(
        "create table t (id int primary key, up bool not null unique, v int)",
        "create table c (id int primary key, t int references t)",
        "insert into t values (1, true, 1), (2, false, 2)",
    )
    history.agent("delete from t", "insert into t values (1, false, 1), (2, true, 2)", "insert into c values (1, 1)")
    done = history.roll_back("skip")
    assert (done.rows, done.reasons, done.keys) == ({"conflict": 2, "remove": 1}, {"unique_taken"}, {"id=1", "id=2"})
    assert {(c["constraint"], c["theirs"]) for c in done.conflicts} == {("t_up_key", "(id=1)"), ("t_up_key", "(id=2)")}
    assert history.rows("table t") == {(1, False, 1), (2, True, 2)}


def test_case_02_a_swap_that_others_follow(history: History) -> None:
    """T's row follows by ON UPDATE CASCADE: NULL, at which values waited that may be, it would not have followed back."""
    history.given(
        "create table t (id int primary key, code int unique)",
        "create table c (id int primary key, code int references t (code) on update cascade)",
        "insert into t values (1, 1), (2, 2)",
    )
    history.agent(
        "update t set code = 9 where id = 1", "update t set code = 1 where id = 2", "update t set code = 2 where id = 1"
    )
    history.others("insert into c values (1, 2), (2, 1)")
    assert history.roll_back(followers=["c"]).rows == {"restore": 2}
    assert history.rows("table c") == {(1, 1), (2, 2)}


def test_case_02_exclusion_swapped(history: History) -> None:
    """Two bookings that changed places."""
    history.given(
        "create table booking (id int primary key, during int4range not null, exclude using gist (during with &&))",
        "insert into booking values (1, '[1,5)'), (2, '[5,9)'), (3, '[20,30)')",
    )
    history.agent(
        "update booking set during = '[100,105)' where id = 1",
        "update booking set during = '[1,5)' where id = 2",
        "update booking set during = '[5,9)' where id = 1",
    )
    assert history.roll_back().rows == {"restore": 2}
    history.expect_start()


def test_case_02_swap_that_others_joined(history: History) -> None:
    """T took one of the values: with skip, the rows that need it are left too."""
    history.given(
        "create table t (id int primary key, pos int not null unique)", "insert into t values (1, 1), (2, 2), (3, 3)"
    )
    history.agent(
        "update t set pos = 11 where id = 1", "update t set pos = 1 where id = 2", "update t set pos = 2 where id = 1"
    )
    history.others("update t set pos = 5 where id = 2", "insert into t values (4, 1)")
    done = history.roll_back("skip")
    assert done.rows == {"conflict": 2}
    assert done.reasons == {"changed_since", "unique_taken"}


@pytest.mark.parametrize(
    ("table", "index", "ours"),
    [
        ("id int primary key, place int, main bool not null", "(place) where main", "main = not main"),
        ("id int primary key, place int, main bool", "(place) where main", "main = not main"),
        ("id int primary key, place text not null, main bool", "(lower(place))", "place = 'X' || id"),
    ],
    ids=("flag", "nullable flag", "expression"),
)
def test_case_02_a_place_in_a_partial_or_expression_index_handed_on(
    history: History, table: str, index: str, ours: str
) -> None:
    """S hands on what only one row may have: the row that has it now goes back before the one that had it."""
    history.given(
        f"create table t ({table})",
        f"create unique index on t {index}",
        "insert into t values (1, '7', true), (2, '8', false)"
        if "lower" in index
        else "insert into t values (1, 7, true), (2, 7, false)",
    )
    history.agent(f"update t set {ours} where id = 1", f"update t set {ours} where id = 2")
    if "lower" in index:  # and in a circle
        history.agent("update t set place = '8' where id = 1", "update t set place = '7' where id = 2")
    assert history.roll_back().rows == {"restore": 2}
    history.expect_start()


def test_places_in_a_partial_index_are_looked_up_set_by_set(history: History) -> None:
    """Four times the rows make a rollback read four times as much of its work table, not sixteen times."""
    read = {}
    for rows in (100, 400):
        name = f"t{rows}"
        history.operator.execute(f"create table {name} (id int primary key, place int, main bool not null)".encode())
        history.operator.execute(f"create unique index on {name} (place) where main".encode())
        history.operator.execute(
            f"insert into {name} select g, g / 2, g % 2 = 0 from generate_series(2, {rows} + 1) g".encode()
        )
        history.cover(name)
        session = history.open()
        history.agent(f"update {name} set main = false where main", f"update {name} set main = true where id % 2 = 1")
        history.stop()
        with history.operator.transaction():
            assert report(history.operator, "apply", [session]).rows == {"restore": rows}
            read[rows] = history.one(
                "select sum(seq_tup_read) from pg_stat_xact_all_tables where relname ~ '^journal_undo_[0-9]+$'"
            )
    assert read[400] < 6 * read[100]


@pytest.mark.parametrize("on", ["(flag) where flag", "(abs(pos))"])
def test_a_place_that_a_trigger_does_not_let_go(history: History, on: str) -> None:
    """A trigger puts back what the rollback moves out of the way: it moved it again and again, without an end."""
    history.given(
        "create table t (id int primary key, flag boolean, pos int)",
        f"create unique index only_one on t {on}",
        "insert into t values (1, true, 1), (2, false, 2), (3, false, 3)",
    )
    history.agent(
        "update t set flag = false, pos = 4 where id = 1",
        "update t set pos = 1, flag = true where id = 2",
    )
    history.others(
        "create function keep() returns trigger language plpgsql as "
        "$$begin new.flag = old.flag; new.pos = old.pos; return new; end$$",
        "create trigger keep before update on t for each row execute function keep()",
    )
    history.operator.execute("set statement_timeout = '20s'")
    done = history.roll_back(predicted=False)
    assert (done.outcome, done.rows, done.reasons) == ("refused", {"conflict": 2}, {"trigger_rewrote"})


def test_case_05_a_key_that_comes_back_into_an_index_when_another_row_has_left_it(history: History) -> None:
    """A partial index over the key: keys went back first, while a row that the rollback removes still had the place."""
    history.given(
        "create table t (k1 int, k2 int, note text, primary key (k1, k2))",
        "create unique index on t (note) where k1 <> 3",
        "insert into t values (1, 1, 'a'), (3, 5, 'b'), (3, 6, 'b')",
    )
    history.agent("update t set k1 = 3, k2 = 7 where k2 = 1", "insert into t values (1, 7, 'a')")
    history.agent("update t set k1 = 2 where k2 = 5")
    assert history.roll_back().rows == {"restore": 2, "remove": 1}
    history.expect_start()


def test_case_05_a_place_in_an_index_that_keys_hand_on(history: History) -> None:
    """The row that has it goes back first, key and all."""
    history.given(
        "create table t (k1 int, k2 int, note text, primary key (k1, k2))",
        "create unique index on t (note) where k1 <> 3",
        "insert into t values (1, 1, 'a'), (3, 5, 'a'), (3, 6, 'a')",
    )
    history.agent("update t set k1 = 3, k2 = 7 where k2 = 1", "update t set k1 = 2 where k2 = 5")
    history.agent("update t set k1 = 3 where k2 = 5", "update t set k1 = 9 where k2 = 6")
    assert history.roll_back().rows == {"restore": 2, "noop": 1}
    history.expect_start()


@pytest.mark.parametrize("unique", ["int not null unique", "int unique", "int unique nulls not distinct"])
def test_case_02_a_unique_reference_that_is_handed_on(history: History, unique: str) -> None:
    """One-to-one: the row that has it goes back first, as there is nothing to refer to meanwhile."""
    history.given(
        "create table p (id int primary key)",
        f"create table c (id int primary key, p {unique} references p)",
        "insert into p select generate_series(1, 5)",
        "insert into c select n, n from generate_series(1, 4) n",
    )
    history.agent(*(f"update c set p = p + 1 where id = {n}" for n in (4, 3, 2, 1)))
    assert history.roll_back().rows == {"restore": 4}
    history.expect_start()


def test_case_05_a_place_in_an_index_for_a_row_that_comes_back(history: History) -> None:
    """The one that has it refers to that row: they go back in one statement."""
    history.given(
        "create table t (id int primary key, p int references t on delete set null)",
        "create unique index on t (coalesce(p, 0))",
        "insert into t values (2, null), (1, 2)",
    )
    history.agent("delete from t where id = 2")
    assert history.roll_back().rows == {"restore": 1, "reinsert": 1}
    history.expect_start()


def test_case_03_keys_without_overlaps_that_hand_a_period_on(history: History) -> None:
    """No other row has the key that is put back, but one has a part of its period: it goes back first, or waits."""
    if history.operator.info.server_version < 180000:
        pytest.skip("keys without overlaps are new in PostgreSQL 18")
    history.given(
        "create table t (id int4range, during int4range, primary key (id, during without overlaps))",
        "insert into t values ('[1,2)', '[1,5)'), ('[1,2)', '[5,9)'), ('[2,3)', '[1,5)'), ('[2,3)', '[5,9)')",
    )
    history.agent(
        "update t set during = '[1,3)' where id = '[1,2)' and during = '[1,5)'",
        "update t set during = '[3,9)' where id = '[1,2)' and during = '[5,9)'",
        "update t set during = '[20,30)' where id = '[2,3)' and during = '[1,5)'",
        "update t set during = '[1,6)' where id = '[2,3)' and during = '[5,9)'",
        "update t set during = '[6,9)' where id = '[2,3)' and during = '[20,30)'",
    )
    assert history.roll_back().rows == {"restore": 4}
    history.expect_start()


def test_case_02_a_part_of_the_key_that_is_unique_by_itself(history: History) -> None:
    """The whole keys were free, and only the attempt met the other constraint."""
    history.given(
        "create table t (k1 int, k2 int unique, v int, primary key (k1, k2))",
        "insert into t values (1, 1, 1), (2, 2, 2), (3, 3, 3)",
    )
    history.agent(
        "update t set k2 = 9 where k1 = 1", "update t set k2 = 1 where k1 = 2", "update t set k2 = 2 where k1 = 1"
    )
    assert history.roll_back().rows == {"restore": 2}
    history.expect_start()
