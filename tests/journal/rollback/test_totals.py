"""Totals that a trigger keeps, of rows that the session and others wrote."""

from __future__ import annotations

import pytest

from tests.journal.rollback.history import History


def test_case_17_totals_are_not_forced(history: History) -> None:
    """What others did is in a total that a trigger keeps: its value before the session is right for nobody."""
    history.given(
        "create table part (id int primary key, v int)",
        "create table total (id int primary key, v int)",
        "insert into part values (1, 5), (2, 5)",
        "insert into total values (1, 10)",
        """create function add_up() returns trigger language plpgsql as $$ begin
               update total set v = v + new.v - old.v; return null; end $$""",
        "create trigger add_up after update on part for each row execute function add_up()",
    )
    history.agent("update part set v = 6 where id = 1")
    history.others("update part set v = 8")
    done = history.roll_back("force")
    assert (done.outcome, done.rows) == ("refused", {"force": 1, "conflict": 1})
    assert {c["table"] for c in done.conflicts if not c["forced"]} == {"public.total"}


KEPT_TOTALS = (
    "create table part (id int primary key, owner int, v int)",
    "create table total (id int primary key, n int, v int)",
    "insert into total values (1, 0, 0), (2, 0, 0)",
    """create function add_up() returns trigger language plpgsql as $$ begin
           if tg_op <> 'INSERT' then update total set n = n - 1, v = v - old.v where id = old.owner; end if;
           if tg_op <> 'DELETE' then update total set n = n + 1, v = v + new.v where id = new.owner; end if; return null; end $$""",
    "create trigger add_up after insert or update or delete on part for each row execute function add_up()",
    "insert into part values (1, 1, 0)",
)


@pytest.mark.parametrize("mode", ["refuse", "skip"])
def test_a_total_counts_what_others_made_of_the_sessions_rows(history: History, mode: str) -> None:
    """S moves a part without an amount to another total, T gives it one, S adds a part there: what S met goes with the first."""
    history.given(*KEPT_TOTALS)
    history.agent("update part set owner = 2")
    history.others("update part set v = 1")
    history.agent("insert into part values (9, 2, 5)")
    done = history.roll_back(mode, followers=["total"])
    assert [(c["table"], c["key"], c["reason"]) for c in done.conflicts if c["key"] == {"id": "2"}] == [
        ("public.total", {"id": "2"}, "changed_since")
    ]
    assert done.outcome == ("refused" if mode == "refuse" else "partly")
    if mode == "skip":
        assert history.rows("table total") == {(1, 1, 1), (2, 0, 0)}


def test_a_total_of_rows_that_force_overrules_is_not_forced(history: History) -> None:
    """T gives an amount to the part that S added, S adds another: what T added to the total goes with the part, and was kept."""
    history.given(*KEPT_TOTALS)
    history.agent("insert into part values (8, 2, 0)")
    history.others("update part set v = 3 where id = 8")
    history.agent("insert into part values (9, 2, 5)")
    done = history.roll_back("force")
    assert (done.outcome, done.rows) == ("refused", {"remove": 1, "force": 1, "conflict": 1})


def test_a_total_that_others_write_without_changing_it_goes_back(history: History) -> None:
    """T edits another column of the session's part: the trigger takes the amount off and puts it on again."""
    history.given(*KEPT_TOTALS, "alter table part add note text")
    history.agent("update part set v = 4")
    history.others("update part set note = 'checked'")
    history.agent("insert into part values (9, 1, 5)")
    assert history.roll_back(followers=["total"]).outcome == "done"
    assert history.rows("table total") == {(1, 1, 0), (2, 0, 0)}
    assert history.rows("table part") == {(1, 1, 0, "checked")}


def test_a_total_that_others_share_goes_back(history: History) -> None:
    """T's own part in the same total, added before S came to it, is in what S met, and stays."""
    history.given(*KEPT_TOTALS)
    history.agent("update part set v = 2")
    history.others("insert into part values (5, 2, 4)")
    history.agent("insert into part values (9, 2, 5)")
    assert history.roll_back(followers=["total"]).outcome == "done"
    assert history.rows("table total") == {(1, 1, 0), (2, 1, 4)}


def test_a_row_that_a_trigger_keeps_is_left_by_name_and_knows_who_wrote_it(history: History) -> None:
    """With skip it named no column; asked again, what the rollback's own trigger wrote was "written outside the journal"."""
    history.given(
        "create table line (id int primary key, orders int)",
        "create table orders (id int primary key, status text, lines int not null default 0)",
        "insert into orders values (1, 'new'), (2, 'new')",
        """create function keep() returns trigger language plpgsql as $$ begin
               update orders set lines = lines + case tg_op when 'DELETE' then -1 else 1 end
                where id = coalesce(new.orders, old.orders);
               return null; end $$""",
        "create trigger keep after insert or delete on line for each row execute function keep()",
        "create function pass() returns trigger language plpgsql as 'begin return new; end'",
        "create trigger pass before update on orders for each row execute function pass()",
        "insert into line values (1, 1), (2, 2)",
    )
    history.agent("delete from line", "update orders set status = 'cancelled'")
    history.others("update orders set status = 'paid' where id = 1")
    left = history.roll_back("skip", predicted=False, followers=["orders"]).conflict_of("2")
    assert (left["column"], left["reason"]) == ("status", "trigger_rewrote")
    again = history.roll_back("skip").conflict_of("2")
    assert (again["column"], again["reason"]) == ("lines", "changed_since")


def test_a_row_does_not_come_back_with_the_total_of_more_than_comes_back_with_it(history: History) -> None:
    """S deletes an order, T a product of one of its lines, which stays away: the order came back with the total of both."""
    history.given(
        "create table product (id int primary key)",
        "create table orders (id int primary key, total int not null default 0)",
        """create table line (id int primary key, orders int not null references orders on delete cascade,
                             product int not null references product, v int not null)""",
        """create function add_up() returns trigger language plpgsql as $$ begin
               if tg_op = 'DELETE' then update orders set total = total - old.v where id = old.orders;
               else update orders set total = total + new.v where id = new.orders; end if; return null; end $$""",
        "create trigger add_up after insert or delete on line for each row execute function add_up()",
        "insert into product values (1), (2)",
        "insert into orders values (100), (200)",
        "insert into line values (1, 100, 1, 10), (2, 100, 2, 20), (3, 200, 1, 30)",
    )
    history.agent("delete from orders")
    history.others("delete from product where id = 2")
    done = history.roll_back("skip", predicted=False)
    assert done.rows == {"reinsert": 2, "conflict": 3}
    assert history.rows("select o.*, l.v from orders o join line l on l.orders = o.id") == {(200, 30, 30)}
    assert done.conflict_of("100")["reason"] == "trigger_rewrote"


def test_a_total_goes_back_where_what_is_left_has_nothing_to_do_with_it(history: History) -> None:
    """Any conflict in a table with a trigger, if only one that keeps updated_at, left every total of the session alone."""
    history.given(
        *KEPT_TOTALS,
        "create table price (id int primary key, v int, at timestamptz)",
        "insert into price values (1, 10), (2, 10)",
        "create function touch() returns trigger language plpgsql as 'begin new.at = clock_timestamp(); return new; end'",
        "create trigger touch before update on price for each row execute function touch()",
    )
    history.agent("update price set v = 20")
    history.agent("update part set v = 5")
    history.others("update price set v = 30 where id = 1")
    done = history.roll_back("skip")
    assert (done.rows, done.keys) == ({"restore": 3, "conflict": 1}, {"id=1"})
    assert history.rows("table total") == {(1, 1, 0), (2, 0, 0)}
