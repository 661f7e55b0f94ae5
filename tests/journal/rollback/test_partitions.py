"""Cases 47 to 50: partitions, and kinds of tables."""

from __future__ import annotations

import psycopg
import pytest

from tests.journal.rollback.history import History

TREE = (
    "create table p (id int, region text, v text, primary key (id, region)) partition by list (region)",
    "create table p_eu partition of p for values in ('eu')",
    "create table p_us partition of p for values in ('us') partition by range (id)",
    "create table p_us_low partition of p_us for values from (0) to (100)",
    "create table p_us_high (v text, region text not null, id int not null)",
    "alter table p_us attach partition p_us_high for values from (100) to (200)",
    "insert into p values (1, 'eu', 'a'), (2, 'us', 'b'), (102, 'us', 'c'), (3, 'eu', 'd')",
)


def test_case_47_row_that_moved_between_partitions(history: History) -> None:
    """An UPDATE that moves a row between partitions → exactly one row, back in its origin."""
    history.given(*TREE)
    history.agent("update p set region = 'us', v = 'moved' where id = 1", "update p set id = 150 where id = 2")
    assert history.roll_back().rows == {"restore": 2}
    history.expect_start()
    assert history.rows("select tableoid::regclass::text, id from p") == {
        ("p_eu", 1),
        ("p_us_low", 2),
        ("p_us_high", 102),
        ("p_eu", 3),
    }


def test_case_47_ordinary_work_on_a_partitioned_table(history: History) -> None:
    """Rows inserted, changed and deleted through the root, and others on the same rows."""
    history.given(*TREE)
    history.agent(
        "update p set v = 'agent'", "delete from p where id = 3", "insert into p values (4, 'eu', 'x'), (5, 'us', 'y')"
    )
    history.others("update p set v = 'theirs' where id = 102")
    done = history.roll_back("skip")
    assert done.rows == {"restore": 2, "remove": 2, "reinsert": 1, "conflict": 1}
    assert history.rows("table p") == {(1, "eu", "a"), (2, "us", "b"), (102, "us", "theirs"), (3, "eu", "d")}


def test_case_48_dml_aimed_at_a_leaf(history: History) -> None:
    """DML aimed at a leaf (whose columns stand in another order), or at a middle level → captured and undone."""
    history.given(*TREE)
    history.agent(
        "update p_us_high set v = 'leaf'",
        "insert into p_us_high (id, region, v) values (103, 'us', 'new')",
        "update p_us set v = 'middle' where id = 2",
        "delete from p_eu where id = 3",
    )
    assert history.roll_back().rows == {"restore": 2, "remove": 1, "reinsert": 1}
    history.expect_start()


def test_case_48_partition_attached_since(history: History) -> None:
    """A partition attached after covering → captured, through the root and, once the table is covered again, aimed at."""
    history.given(*TREE)
    history.others("create table p_asia partition of p for values in ('asia')")
    history.cover("p")
    history.agent(
        "insert into p values (9, 'asia', 'x')",
        "update p set region = 'asia' where id = 1",
        "insert into p_asia values (10, 'asia', 'y')",
    )
    assert history.roll_back().rows == {"restore": 1, "remove": 2}
    history.expect_start()


def test_case_48_partition_that_cover_has_not_seen(history: History) -> None:
    """Until then statements aimed at it may have gone unseen → REFUSED."""
    history.given(*TREE)
    history.others("create table p_asia partition of p for values in ('asia')")
    history.agent("insert into p_asia values (9, 'asia', 'x')", "insert into p values (10, 'asia', 'x')")
    done = history.roll_back("skip")
    assert (done.outcome, done.reasons) == ("refused", {"coverage_gap"})


def test_case_48_partition_attached_after_the_session(history: History) -> None:
    """A partition that came when the session was over is no gap in what it did."""
    history.given(*TREE)
    history.agent("update p set v = 'agent' where id = 1")
    history.stop()
    history.others("create table p_asia partition of p for values in ('asia')")
    assert history.roll_back().rows == {"restore": 1}
    history.expect_start()


def test_case_49_origin_partition_dropped(history: History) -> None:
    """Origin partition detached or dropped since → routed through the parent if the bounds fit, else REFUSE."""
    history.given(*TREE)
    history.agent("update p set region = 'us' where id = 1", "update p set v = 'agent' where id = 102")
    history.others("alter table p detach partition p_eu")
    done = history.roll_back("skip", predicted=False)
    assert (done.outcome, done.exit_code) == ("refused", 3)
    assert (102, "us", "agent") in history.rows("table p")


def test_case_49_other_partition_with_the_same_bounds(history: History) -> None:
    """The origin was replaced by another partition: the row is routed there."""
    history.given(*TREE)
    history.agent("delete from p where id = 1")
    history.others(
        "alter table p detach partition p_eu",
        "create table p_europe partition of p for values in ('eu')",
        "insert into p_europe select * from p_eu",
    )
    history.cover("p")
    assert history.roll_back().rows == {"reinsert": 1}
    assert history.rows("select v from only p_europe") == {("a",), ("d",)}


@pytest.mark.parametrize(
    ("create", "reason"),
    [
        ("create table t (id int primary key) ; create table child () inherits (t)", "inheritance"),
        ("create table t (id int)", "no primary key"),
        ("create unlogged table t (id int primary key)", "unlogged"),
        ("create temporary table t (id int primary key)", "temporary"),
        ("create view t as select 1 as id", "view"),
        ("create materialized view t as select 1 as id", "materialized view"),
    ],
)
def test_case_50_kinds_that_cannot_be_covered(history: History, create: str, reason: str) -> None:
    """INHERITS children, no primary key, UNLOGGED, TEMP, views → covered properly, or refused with the reason."""
    for statement in create.split(" ; "):
        history.operator.execute(statement.encode())
    with pytest.raises(psycopg.DatabaseError, match=reason) as caught:
        history.cover("t")
    assert caught.value.sqlstate == "JR030"


def test_case_50_foreign_table(history: History) -> None:
    """A foreign table → refused with the reason."""
    if not history.one("select rolsuper from pg_roles where rolname = current_user"):
        pytest.skip("only a superuser makes a foreign data wrapper")
    history.operator.execute(
        """create foreign data wrapper nothing;
           create server s foreign data wrapper nothing;
           create foreign table t (id int) server s"""
    )
    with pytest.raises(psycopg.DatabaseError, match="foreign table"):
        history.cover("t")


LEAVES = (
    "create table p (id int, region text, v text, primary key (id, region)) partition by list (region)",
    "create table p_us (v text, region text not null, id int not null unique)",
    "alter table p attach partition p_us for values in ('us')",
    "create table p_eu partition of p for values in ('eu')",
    "insert into p values (1, 'us', 'a'), (2, 'eu', 'b')",
)


@pytest.mark.parametrize("action", ["cascade", "set null"])
def test_case_07_a_row_hung_below_one_of_a_partition(history: History, action: str) -> None:
    """The foreign key points at the partition alone: T's child went with S's row, without a word."""
    history.given(
        *LEAVES, f"create table c (id int primary key, p_id int default 1 references p_us (id) on delete {action})"
    )
    history.agent("insert into p values (9, 'us', 'x'), (9, 'eu', 'y')")
    history.others("insert into c values (1, 9)")
    done = history.roll_back("skip")
    assert (done.rows, done.reasons) == ({"remove": 1, "conflict": 1}, {"referenced_since"})
    assert history.rows("table c") == {(1, 9)}


def test_case_08_below_a_partition(history: History) -> None:
    """A cascade from a partition comes back with what it took; where it may have taken what is not covered, nothing does."""
    history.given(
        *LEAVES,
        "create table c (id int primary key, p_id int references p_us (id) on delete cascade)",
        "insert into c values (1, 1)",
    )
    history.agent("delete from p")
    assert history.roll_back().rows == {"reinsert": 3}
    history.expect_start()


def test_case_09_cascade_from_a_partition_into_an_uncovered_table(history: History) -> None:
    """Rolled back with a gap: S's rows came back, what went with them did not."""
    history.given(
        *LEAVES, "create table c (id int primary key, p_id int references p_us (id) on delete cascade)", uncovered=["c"]
    )
    history.agent("delete from p")
    assert history.roll_back().reasons == {"coverage_gap"}


BRANCHES = (
    "create table par (id int primary key)",
    "create table c (id int, par int, v text, primary key (id, par)) partition by list (id)",
    "create table c_1 (v text, par int not null, id int not null)",
    "alter table c attach partition c_1 for values in (1)",
    "create table c_2 partition of c for values in (2)",
    "insert into par values (1), (2)",
    "insert into c values (1, 1, 'x'), (2, 1, 'z')",
)


def test_case_03_rows_of_a_partition_that_alone_follows_a_key(history: History) -> None:
    """Only one partition has the foreign key: its rows follow the parent's key back, those of the other stay."""
    history.given(*BRANCHES, "alter table c_1 add foreign key (par) references par on update cascade")
    history.agent(
        "update par set id = id + 10", "update c set v = 'agent'", "insert into c values (1, 12, 'new'), (2, 12, '')"
    )
    assert history.roll_back().outcome == "done"
    history.expect_start()


def test_case_06_and_08_a_foreign_key_of_a_partition(history: History) -> None:
    """Parent and child that S inserted, and those that it deleted, in the partition that has the foreign key."""
    history.given(*BRANCHES, "alter table c_1 add foreign key (par) references par on delete cascade")
    history.agent(
        "insert into par values (7)", "insert into c values (1, 7, 'y'), (2, 99, 'z')", "delete from par where id = 1"
    )
    assert history.roll_back().rows == {"remove": 3, "reinsert": 2}
    history.expect_start()


def test_case_12_deferred_foreign_key_of_a_partition(history: History) -> None:
    """The child's parent is gone: found in the dry run, for the row that the partition would get."""
    history.given(*BRANCHES, "alter table c_1 add foreign key (par) references par deferrable initially deferred")
    history.agent("delete from c")
    history.others("delete from par where id = 1")
    done = history.roll_back("skip")
    assert (done.rows, done.keys) == ({"reinsert": 1, "conflict": 1}, {"id=1 par=1"})


@pytest.mark.parametrize("on", ["(place)", "(lower(place))"])
def test_a_unique_index_that_one_partition_has_alone(history: History, on: str) -> None:
    """Only the attempt met it. Rows that swap their places there go back; one that T has taken is a conflict of its row."""
    history.given(
        "create table p (id int, region text, place text, primary key (id, region)) partition by list (region)",
        "create table p_eu (place text, region text not null, id int not null)",
        "alter table p attach partition p_eu for values in ('eu')",
        "create table p_us partition of p for values in ('us')",
        f"create unique index only_eu on p_eu {on}",
        "insert into p values (1, 'eu', 'a'), (2, 'eu', 'b'), (3, 'eu', 'c'), (4, 'eu', 'd'), (5, 'us', 'a')",
    )
    history.agent(
        "update p set place = null where id = 1",
        "update p set place = 'a' where id = 2",
        "update p set place = 'b' where id = 1",
        "update p set region = 'us' where id = 3",
        "update p set place = 'e' where id = 4",
    )
    history.others("insert into p values (6, 'eu', 'c'), (7, 'us', 'd')")
    done = history.roll_back("skip")
    assert (done.rows, done.keys) == ({"restore": 3, "conflict": 1}, {"id=3 region=us"})
    assert (done.conflict["reason"], done.conflict["constraint"]) == ("unique_taken", "only_eu")
    assert done.conflict["theirs"] == "(id=6, region=eu)"
