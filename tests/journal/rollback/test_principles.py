"""Cases that are not on the list and follow from its principles: keys and constraints of every kind, and what depends on what."""

from __future__ import annotations

import pytest

from tests.journal.rollback.history import History

KEYS = [
    ("int, b text", "(1, 'x')", "(1, 'y')"),
    ('text collate "C", b date', "('a''\"b', '2024-01-01')", "('a''\"b', 'infinity')"),
    ("numeric, b numeric", "(1.50, 1)", "(1.5, 2)"),
    ("mood, b pair", "('sad', '(1,x)')", "('sad', '(1,\"a b\")')"),
    ("price, b bytea", "(1.5, '\\x00')", "(1.5, '\\x01')"),
    (
        "uuid, b int[]",
        "('00000000-0000-0000-0000-000000000001', '{1,NULL}')",
        "('00000000-0000-0000-0000-000000000001', '{}')",
    ),
    ("char(4), b timestamptz", "('a', '2024-01-01 00:00+00')", "('a', '2024-01-01 00:00:00.000001+00')"),
    ("interval, b inet", "('1 mon', '10.0.0.1/8')", "('30 days 1s', '10.0.0.1')"),
    ("int4range, b boolean", "('[1,5)', true)", "('empty', false)"),
]


@pytest.mark.parametrize(("columns", "one", "two"), KEYS, ids=[k[0] for k in KEYS])
def test_keys_of_every_type(history: History, columns: str, one: str, two: str) -> None:
    """Keys of two columns, of catalog types, domains, enums and composites: found, changed, deleted and inserted again."""
    history.given(
        "create type mood as enum ('sad', 'ok')",
        "create type pair as (a int, b text)",
        "create domain price as numeric check (value > 0)",
        f"create table t (a {columns}, v int, primary key (b, a))",
        f"insert into t values {one[:-1]}, 1), {two[:-1]}, 2)",
    )
    history.agent(
        "update t set v = 10 where v = 1", "delete from t where v = 2", f"insert into t values {two[:-1]}, 3)"
    )
    assert history.roll_back().rows == {"restore": 2}
    history.expect_start()
    history.open()
    history.agent("delete from t")
    history.others(f"insert into t values {one[:-1]}, 7)")
    done = history.roll_back("skip")
    assert done.rows == {"reinsert": 1, "conflict": 1}
    assert done.reasons == {"key_reused"}


def test_nulls_in_unique_columns_do_not_stand_in_the_way(history: History) -> None:
    history.given(
        "create table t (id int primary key, code text unique)", "insert into t values (1, null), (2, null), (3, 'x')"
    )
    history.agent("update t set code = 'y' where id = 1", "delete from t where id = 2")
    history.others("insert into t values (4, null)")
    assert history.roll_back().rows == {"restore": 1, "reinsert": 1}


def test_nulls_not_distinct_stand_in_the_way(history: History) -> None:
    history.given(
        "create table t (id int primary key, code text unique nulls not distinct)",
        "insert into t values (1, null), (3, 'x')",
    )
    history.agent("update t set code = 'y' where id = 1")
    history.others("insert into t values (4, null)")
    done = history.roll_back("skip", predicted=False)
    assert not done.committed or done.rows == {"conflict": 1}
    assert done.reasons == {"unique_taken"}


def test_unique_index_with_included_columns(history: History) -> None:
    history.given(
        "create table t (id int primary key, code int, v int)",
        "create unique index u on t (code) include (v)",
        "insert into t values (1, 1, 1)",
    )
    history.agent("delete from t")
    history.others("insert into t values (2, 1, 9)")
    done = history.roll_back("skip")
    assert (done.rows, done.conflict["constraint"]) == ({"conflict": 1}, "u")


def test_primary_key_with_included_columns(history: History) -> None:
    history.given(
        "create table t (id int, v int, w int, primary key (id) include (v))",
        "insert into t values (1, 1, 1), (2, 2, 2)",
    )
    history.agent("update t set v = 9", "delete from t where id = 2")
    assert history.roll_back().rows == {"restore": 1, "reinsert": 1}
    history.expect_start()


def test_unique_value_freed_and_taken_in_one_session(history: History) -> None:
    """[42] Deletes before updates before inserts: the value goes from row to row inside the session."""
    history.given(
        "create table t (id int primary key, pos int not null unique)", "insert into t values (1, 10), (2, 20), (3, 30)"
    )
    history.agent(
        "delete from t where id = 1",
        "update t set pos = 10 where id = 2",
        "insert into t values (4, 20)",
        "update t set pos = 99 where id = 3",
    )
    assert history.roll_back().rows == {"restore": 2, "remove": 1, "reinsert": 1}
    history.expect_start()


def test_foreign_keys_in_a_circle(history: History) -> None:
    """Two tables that refer to each other, deferred: deleted together, inserted together."""
    history.given(
        "create table a (id int primary key, b int not null)",
        "create table b (id int primary key, a int not null references a deferrable initially deferred)",
        "alter table a add foreign key (b) references b deferrable initially deferred",
        "begin; insert into a values (1, 1), (2, 2); insert into b values (1, 1), (2, 2); commit",
    )
    history.agent(
        "delete from a where id = 1",
        "delete from b where id = 1",
        "insert into a values (3, 3)",
        "insert into b values (3, 3)",
    )
    assert history.roll_back().rows == {"reinsert": 2, "remove": 2}
    history.expect_start()


@pytest.mark.parametrize("match", ["simple", "full"])
def test_composite_foreign_keys_with_nulls(history: History, match: str) -> None:
    history.given(
        "create table p (a int, b int, primary key (a, b))",
        f"create table c (id int primary key, a int, b int, foreign key (a, b) references p match {match} on delete cascade)",
        "insert into p values (1, 1), (1, 2)",
        "insert into c values (1, 1, 1), (2, null, null), (3, 1, 2)",
        *(["insert into c values (4, 1, null)"] if match == "simple" else []),
    )
    history.agent(
        "update c set a = null, b = null where id = 1",
        "update c set a = 1, b = 1 where id = 2",
        "delete from p where b = 2",
        "insert into p values (9, 9)",
    )
    assert history.roll_back().rows == {"restore": 2, "reinsert": 2, "remove": 1}
    history.expect_start()


def test_update_cascade_over_three_levels(history: History) -> None:
    history.given(
        "create table a (id int primary key)",
        "create table b (id int primary key, a int unique references a on update cascade)",
        "create table c (id int primary key, a int references b (a) on update cascade on delete cascade)",
        "insert into a values (1), (2)",
        "insert into b values (1, 1), (2, 2)",
        "insert into c values (1, 1), (2, 2)",
    )
    history.agent("update a set id = id + 10 where id = 1")
    history.others("insert into c values (3, 11)")
    done = history.roll_back(followers=["c"])
    assert done.outcome == "done"
    assert history.rows("table c") == {(1, 1), (2, 2), (3, 1)}
    history.expect_start("a", "b")


def test_delete_set_null_of_one_column(history: History) -> None:
    """`on delete set null (b)` leaves the other columns of the foreign key alone."""
    history.given(
        "create table p (a int, b int, primary key (a, b))",
        "create table c (id int primary key, a int, b int, foreign key (a, b) references p on delete set null (b))",
        "insert into p values (1, 1), (1, 2)",
        "insert into c values (1, 1, 1), (2, 1, 2)",
    )
    history.agent("delete from p where b = 1")
    assert history.roll_back().rows == {"reinsert": 1, "restore": 1}
    history.expect_start()


def test_two_foreign_keys_set_null_by_one_delete(history: History) -> None:
    """[2] One delete sets two columns of one row to NULL: two changes, one row."""
    history.given(
        "create table u (id int primary key)",
        "create table doc (id int primary key, cby int references u on delete set null, uby int references u on delete set null)",
        "insert into u values (1), (2)",
        "insert into doc values (10, 1, 1), (11, 1, 2)",
    )
    history.agent("delete from u where id = 1")
    assert history.roll_back().rows == {"reinsert": 1, "restore": 2}
    history.expect_start()


def test_child_was_pointed_elsewhere_and_the_old_parent_is_gone(history: History) -> None:
    history.given(
        "create table p (id int primary key)",
        "create table c (id int primary key, p int references p)",
        "insert into p values (1), (2)",
        "insert into c values (1, 1), (2, 2)",
    )
    history.agent("update c set p = 2 where id = 1", "delete from c where id = 2")
    history.others("delete from p where id = 1")
    done = history.roll_back("skip")
    assert done.rows == {"reinsert": 1, "conflict": 1}
    assert (done.conflict["reason"], done.conflict["key"]) == ("deleted_since", {"id": "1"})


def test_row_that_went_with_a_parent_of_others(history: History) -> None:
    """S inserts a child below T's parent; T deletes the parent, the cascade takes ours along → NOOP."""
    history.given(
        "create table p (id int primary key)",
        "create table c (id int primary key, p int references p on delete cascade)",
        "insert into p values (1)",
    )
    history.agent("insert into c values (1, 1)")
    history.others("delete from p")
    assert history.roll_back().rows == {"noop": 1}


def test_parent_stays_when_its_child_has_to_stay(history: History) -> None:
    """With skip, the rows that a skipped row needs are left too, each as a conflict."""
    history.given(
        "create table p (id int primary key)", "create table c (id int primary key, p int not null references p, v int)"
    )
    history.agent("insert into p values (1), (2)", "insert into c values (1, 1, 1), (2, 2, 2)")
    history.others("update c set v = 9 where id = 1")
    done = history.roll_back("skip")
    assert done.rows == {"remove": 2, "conflict": 2}
    assert {(c["table"], c["reason"]) for c in done.conflicts} == {
        ("public.c", "changed_since"),
        ("public.p", "referenced_since"),
    }
    assert history.rows("table p") == {(1,)}


def test_children_stay_away_when_their_parent_has_to(history: History) -> None:
    history.given(
        "create table p (id int primary key, email text unique)",
        "create table c (id int primary key, p int not null references p on delete cascade)",
        "insert into p values (1, 'a'), (2, 'b')",
        "insert into c values (1, 1), (2, 2), (3, 1)",
    )
    history.agent("delete from p")
    history.others("insert into p values (9, 'a')")
    done = history.roll_back("skip")
    assert done.rows == {"reinsert": 2, "conflict": 3}
    assert history.rows("table c") == {(2, 2)}


def test_unique_values_that_wait_for_a_conflict(history: History) -> None:
    """Row 2 needs the value that row 1 keeps, because T changed row 1: both are left."""
    history.given(
        "create table t (id int primary key, pos int not null unique, note text)",
        "insert into t values (1, 1, ''), (2, 2, '')",
    )
    history.agent(
        "update t set pos = 3, note = 'agent' where id = 1",
        "update t set pos = 1 where id = 2",
        "update t set pos = 2 where id = 1",
    )
    history.others("update t set note = 'theirs' where id = 1")
    done = history.roll_back("skip")
    assert done.rows == {"conflict": 2}


def test_row_moved_to_another_key_and_its_old_key_reused(history: History) -> None:
    history.given("create table t (id int primary key, v text)", "insert into t values (1, 'a')")
    history.agent("update t set id = 2")
    history.others("insert into t values (1, 'theirs')")
    done = history.roll_back("skip")
    assert done.rows == {"conflict": 1}
    assert history.rows("table t") == {(2, "a"), (1, "theirs")}


def test_row_moved_twice_and_edited_by_others_in_between(history: History) -> None:
    history.given("create table t (id int primary key, v text, w text)", "insert into t values (1, 'a', 'b')")
    history.agent("update t set id = 2")
    history.others("update t set w = 'theirs' where id = 2")
    history.agent("update t set id = 3, v = 'agent' where id = 2")
    assert history.roll_back().rows == {"restore": 1}
    assert history.rows("table t") == {(1, "a", "theirs")}


def test_key_taken_over_by_another_row_of_the_session(history: History) -> None:
    """Row 1 is deleted, row 2 takes its key, a new row takes key 2."""
    history.given("create table t (id int primary key, v text)", "insert into t values (1, 'a'), (2, 'b')")
    history.agent("delete from t where id = 1", "update t set id = 1 where id = 2", "insert into t values (2, 'new')")
    assert history.roll_back().outcome == "done"
    history.expect_start()


def test_key_taken_over_by_a_row_that_looks_the_same(history: History) -> None:
    """The row that took the key over looks just like the one that was deleted."""
    history.given("create table t (id int primary key, v text)", "insert into t values (1, 'a'), (2, 'a'), (3, 'a')")
    history.agent(
        "delete from t where id = 1",
        "update t set id = 1 where id = 2",
        "delete from t where id = 3",
        "insert into t values (5, 'a')",
    )
    history.agent("update t set id = 3 where id = 5")
    assert history.roll_back().outcome == "done"
    history.expect_start()


def test_key_taken_over_by_a_row_that_has_to_stay(history: History) -> None:
    history.given("create table t (id int primary key, v text)", "insert into t values (1, 'a'), (2, 'b')")
    history.agent("delete from t where id = 1", "update t set id = 1, v = 'agent' where id = 2")
    history.others("update t set v = 'theirs' where id = 1")
    done = history.roll_back("skip")
    assert done.rows == {"conflict": 2}


def test_excluded_columns_are_left_alone(history: History) -> None:
    history.given(
        "create table t (id int primary key, v int, secret text)",
        "insert into t values (1, 1, 's'), (2, 2, 't')",
        t={"exclude": ["secret"]},
    )
    history.agent("update t set v = 9, secret = 'agent' where id = 1")
    assert history.roll_back().rows == {"restore": 1}
    assert history.rows("table t") == {(1, 1, "agent"), (2, 2, "t")}


def test_deleted_row_with_excluded_columns_cannot_come_back_whole(history: History) -> None:
    """What was never recorded cannot be put back: never a row that silently lost a value."""
    history.given(
        "create table t (id int primary key, v int, secret text)",
        "insert into t values (1, 1, 's')",
        t={"exclude": ["secret"]},
    )
    history.agent("delete from t")
    done = history.roll_back("skip", predicted=False)
    assert history.rows("table t") in (set(), {(1, 1, "s")})
    assert done.outcome in {"refused", "partly"}


def test_a_row_deleted_while_the_shape_was_unknown_does_not_come_back_without_its_excluded_columns(
    history: History,
) -> None:
    history.given(
        "create table t (id int primary key, v int, secret text)",
        "insert into t values (1, 1, 's')",
        t={"exclude": ["secret"]},
    )
    history.others("alter table t add column w int")
    history.agent("delete from t")
    history.others("select journal.cover('t', exclude => '{secret}')")
    done = history.roll_back("skip", predicted=False)
    assert history.rows("table t") == set()
    assert done.outcome in {"refused", "partly"}


def test_recorded_only(history: History) -> None:
    """A table covered for the record only: a conflict that names it, so that nobody takes it for undone."""
    history.given(
        "create table log (v int)",
        "create table t (id int primary key, v int)",
        "insert into t values (1, 1)",
        log={"undo": False},
    )
    history.agent("insert into log values (1)", "update t set v = 2")
    done = history.report("plan")
    assert done.rows == {"restore": 1, "conflict": 1}
    assert done.reasons == {"coverage_gap"}


def test_truncate_and_fill_again(history: History) -> None:
    history.given(
        "create table t (id int primary key, v int)", "insert into t select g, g from generate_series(1, 10) g"
    )
    history.agent("truncate t", "insert into t select g, g * 2 from generate_series(6, 12) g")
    done = history.roll_back()
    assert done.rows == {"reinsert": 5, "restore": 5, "remove": 2}
    history.expect_start()


def test_when_trigger_and_column_trigger_see_only_what_is_restored(history: History) -> None:
    history.given(
        "create table t (id int primary key, a int, b int, fired int default 0)",
        "insert into t values (1, 1, 1), (2, 2, 2)",
        """create function count_up() returns trigger language plpgsql as $$ begin new.fired = new.fired + 1; return new; end $$""",
        "create trigger on_b before update of b on t for each row when (old.b is distinct from new.b) execute function count_up()",
    )
    history.agent("update t set a = 9")
    assert history.roll_back().rows == {"restore": 2}
    history.expect_start()


def test_rows_with_very_many_columns(history: History) -> None:
    columns = ", ".join(f"c{n} int" for n in range(150))
    history.given(
        f"create table t (id int primary key, {columns})",
        "insert into t (id, c0, c149) values (1, 0, 149), (2, 0, 149)",
    )
    history.agent("update t set c149 = 1, c70 = 7 where id = 1", "delete from t where id = 2")
    assert history.roll_back().rows == {"restore": 1, "reinsert": 1}
    history.expect_start()


def test_tables_of_one_column(history: History) -> None:
    history.given("create table t (id int primary key)", "insert into t values (1), (2)")
    history.agent("delete from t where id = 1", "insert into t values (3)", "update t set id = 4 where id = 2")
    assert history.roll_back().rows == {"reinsert": 1, "remove": 1, "restore": 1}
    history.expect_start()


@pytest.mark.parametrize(
    "upkeep",
    [
        "vacuum full t",
        "vacuum freeze t",
        "cluster t using t_pkey",
        "analyze t",
        "alter table t add x int default 3",
        "select from t for update",
        "reindex table t",
    ],
)
def test_upkeep_is_nobodys_later_work(history: History, upkeep: str) -> None:
    """[45] The row's xmin survives FOR UPDATE, FREEZE, VACUUM FULL, CLUSTER and ADD COLUMN."""
    history.given(
        "create table t (id int primary key, v int)", "insert into t values (1, 1), (2, 2)", t={"writers": "agents"}
    )
    history.agent(
        "savepoint s",
        "update t set v = 9",
        "release s",
        "do $$ begin update public.t set v = 10 where id = 2; exception when others then raise; end $$",
    )
    history.others(upkeep)
    assert history.roll_back().rows == {"restore": 2}
    assert history.rows("select id, v from t") == {(1, 1), (2, 2)}


def test_totals_are_left_to_their_triggers_where_others_are_in_one_of_them(history: History) -> None:
    """S moves a part to another total, T changes its amount there → the total that it comes back to counts T's amount."""
    history.given(
        "create table part (id int primary key, owner int, v int)",
        "create table total (id int primary key, v int)",
        "insert into part values (1, 1, 4)",
        "insert into total values (1, 4), (2, 0)",
        """create function add_up() returns trigger language plpgsql as $$ begin
               update total set v = v - old.v where id = old.owner;
               update total set v = v + new.v where id = new.owner; return null; end $$""",
        "create trigger add_up after update on part for each row execute function add_up()",
    )
    history.agent("update part set owner = 2")
    history.others("update part set v = 1")
    done = history.roll_back("skip", followers=["total"])
    assert (done.rows, done.table("public.part")["rows"]["restore"]) == ({"restore": 1, "conflict": 2}, 1)
    assert history.rows("table total") == {(1, 1), (2, 0)}
