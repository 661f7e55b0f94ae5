"""Cases 1 to 14: keys and constraints. S is the session that is rolled back, T is anyone else."""

from __future__ import annotations

from contextlib import nullcontext

import psycopg
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


KEYS = [("int", "{}"), ("text", "k{}"), ("uuid", "00000000-0000-0000-0000-00000000000{}")]


@pytest.mark.parametrize(("kind", "value"), KEYS)
@pytest.mark.parametrize("children", [False, True])
def test_case_03_keys_in_a_circle(history: History, kind: str, value: str, children: bool) -> None:
    """Primary keys that changed places, with children that follow."""
    k = [value.format(n) for n in range(10)]
    history.given(
        f"create table t (id {kind} primary key, v int)",
        f"create table child (id int primary key, t {kind} references t on update cascade)",
        f"insert into t values ('{k[1]}', 1), ('{k[2]}', 2), ('{k[3]}', 3), ('{k[4]}', 4)",
        *([f"insert into child values (1, '{k[1]}'), (2, '{k[2]}'), (4, '{k[4]}')"] if children else []),
    )
    moves = [(k[1], k[9]), (k[2], k[1]), (k[3], k[2]), (k[9], k[3])]
    history.agent(*(f"update t set id = '{new}' where id = '{old}'" for old, new in moves))
    done = history.roll_back()
    assert done.outcome == "done"
    history.expect_start()
    redone = history.redo(done)
    assert redone.outcome == "done"
    assert history.rows("select id::text, v from t") == {(k[3], 1), (k[1], 2), (k[2], 3), (k[4], 4)}


def test_case_03_composite_keys_in_a_circle(history: History) -> None:
    """Keys of two columns, one of which was swapped; and a shift by one."""
    history.given(
        "create table line (o int, n int, v text, primary key (o, n))",
        "insert into line select g % 3, g, 'v' || g from generate_series(1, 12) g",
    )
    history.agent("update line set n = -n", "update line set n = 13 + n")
    assert history.roll_back().rows == {"restore": 12}
    history.expect_start()


def test_case_03_changed_key_takes_its_children_back(history: History) -> None:
    """S runs `update t set id = 70 where id = 7`, then edits id 70 → one row, id 7, original content; T's children that
    followed the key follow it back."""
    history.given(
        "create table t (id int primary key, note text)",
        "create table child (id int primary key, t int references t on update cascade on delete cascade)",
        "insert into t values (7, 'seven'), (8, 'eight')",
        "insert into child values (1, 7), (3, 8)",
    )
    history.agent("update t set id = 70 where id = 7")
    history.agent("update t set note = 'edited' where id = 70")
    history.others("insert into child values (2, 70)")
    done = history.roll_back(followers=["child"])
    assert done.outcome == "done"
    assert done.table("public.t")["rows"] == {"total": 1, "restore": 1}
    assert history.rows("table t") == {(7, "seven"), (8, "eight")}
    assert history.rows("table child") == {(1, 7), (2, 7), (3, 8)}


@pytest.mark.parametrize("content", ["reused", "seven"])
def test_case_04_reused_key(history: History, content: str) -> None:
    """S deletes id 7; T inserts a new id 7 → CONFLICT (key reuse), never overwrite. Where T's row is the old one again, there
    is nothing to do."""
    history.given("create table t (id int primary key, note text)", "insert into t values (7, 'seven'), (8, 'eight')")
    history.agent("delete from t where id in (7, 8)")
    history.others(f"insert into t values (7, '{content}')")
    done = history.roll_back("skip")
    if content == "seven":  # the row is as it was before the session: nothing to do
        assert done.rows == {"reinsert": 1, "noop": 1}
    else:
        assert done.rows == {"reinsert": 1, "conflict": 1}
        assert (done.conflict["reason"], done.conflict["key"]) == ("key_reused", {"id": "7"})
        assert done.conflict["their"]["application_name"] == "shop-web"
    assert history.rows("table t") == {(7, content), (8, "eight")}


def test_case_04_reused_key_is_refused_by_default(history: History) -> None:
    """The same: nothing is applied by default."""
    history.given("create table t (id int primary key, note text)", "insert into t values (7, 'seven'), (8, 'eight')")
    history.agent("delete from t where id in (7, 8)")
    history.others("insert into t values (7, 'reused')")
    done = history.roll_back()
    assert (done.outcome, done.exit_code) == ("refused", 3)
    assert history.rows("table t") == {(7, "reused")}


def test_case_05_unique_value_taken(history: History) -> None:
    """S deletes user a@x; T registers a@x under another id → CONFLICT naming the unique index and T's row."""
    history.given(
        "create table users (id int primary key, email text unique)", "insert into users values (1, 'a@x'), (2, 'b@x')"
    )
    history.agent("delete from users where id = 1")
    history.others("insert into users values (9, 'a@x')")
    done = history.roll_back("skip")
    assert done.rows == {"conflict": 1}
    conflict = done.conflict
    assert (conflict["reason"], conflict["constraint"], conflict["key"]) == (
        "unique_taken",
        "users_email_key",
        {"id": "1"},
    )
    assert "id=9" in conflict["theirs"]


def test_case_06_inserted_parent_and_child(history: History) -> None:
    """S inserts parent and child → undone, child before parent."""
    history.given(
        "create table child (id int primary key, p int)",
        "create table parent (id int primary key)",
        "alter table child add foreign key (p) references parent",
    )
    history.agent("insert into parent values (1), (2)", "insert into child values (1, 1), (2, 2)")
    assert history.roll_back().rows == {"remove": 4}
    history.expect_start()


ACTIONS = ["no action", "restrict", "cascade", "set null", "set default"]


@pytest.mark.parametrize("action", ACTIONS)
def test_case_07_others_hung_a_row_below_ours(history: History, action: str) -> None:
    """S inserts customer 9; T inserts an order for 9, committed → CONFLICT listing T's order, nothing of T's is touched."""
    _customer_nine(history, action)
    history.others("insert into orders values (1, 9)")
    done = history.roll_back("skip")
    assert done.rows == {"conflict": 1}
    assert (done.conflict["reason"], done.conflict["constraint"]) == ("referenced_since", "orders_customer_fkey")
    assert "public.orders" in done.conflict["theirs"]
    assert "id=1" in done.conflict["theirs"]
    assert history.rows("table orders") == {(1, 9)}


@pytest.mark.parametrize("action", ACTIONS)
def test_case_07_others_are_about_to_hang_a_row_below_ours(history: History, action: str) -> None:
    """The same, T's insert in flight (evidence 40): the rollback waits for it, looks again, and leaves T's row alone."""
    _customer_nine(history, action)
    history.stop()
    assert history.session is not None
    session = history.session
    with history.others_conn.transaction():
        history.others_conn.execute("insert into orders values (1, 9)")
        rolling = history.meanwhile(lambda: report(history.operator, "apply", [session], on_conflict="skip"))
        history.until_waiting(history.operator)
    done = rolling.result()
    assert done.rows == {"conflict": 1}
    assert done.reasons == {"referenced_since"}
    assert history.rows("table orders") == {(1, 9)}


def _customer_nine(history: History, action: str) -> None:
    history.given(
        "create table customers (id int primary key)",
        f"create table orders (id int primary key, customer int default 1 references customers on delete {action})",
        "insert into customers values (1)",
    )
    history.agent("insert into customers values (9)")


def test_case_08_cascade_over_three_levels(history: History) -> None:
    """S deletes a parent, the FK cascade removes three levels, all NOT DEFERRABLE → RESTORE all, no ALTER TABLE."""
    history.given(
        "create table a (id int primary key)",
        "create table b (id int primary key, a int not null references a on delete cascade)",
        "create table c (id int primary key, b int not null references b on delete cascade)",
        "create table d (id int primary key, c int not null references c on delete cascade)",
        "insert into a values (1), (2)",
        "insert into b select g, g % 2 + 1 from generate_series(1, 4) g",
        "insert into c select g, g % 4 + 1 from generate_series(1, 8) g",
        "insert into d select g, g % 8 + 1 from generate_series(1, 16) g",
    )
    marks = history.rows("select oid, xmin::text from pg_class where relnamespace = 'public'::regnamespace")
    history.agent("delete from a where id = 1")
    assert history.roll_back().rows == {"reinsert": 15}
    history.expect_start()
    assert history.rows("select oid, xmin::text from pg_class where relnamespace = 'public'::regnamespace") == marks


@pytest.mark.parametrize("action", ["cascade", "set null", "set default"])
def test_case_09_cascade_into_an_uncovered_table(history: History, action: str) -> None:
    """A cascade reaches a child table that is not covered → covering never refuses because of a neighbour; a rollback that may have
    cascaded into an uncovered table is REFUSED (coverage_gap); never partial success."""
    history.given(
        "create table parent (id int primary key)",
        f"create table child (id int primary key, p int default 1 references parent on delete {action})",
        "insert into parent values (1), (2), (3)",
        "insert into child values (1, 2)",
        uncovered=["child"],
    )
    history.agent("delete from parent where id in (2, 3)")
    for mode in ("refuse", "skip"):
        done = history.roll_back(mode)
        assert (done.outcome, done.exit_code) == ("refused", 3)
        assert "coverage_gap" in done.reasons
    assert history.rows("table parent") == {(1,)}


def test_case_09_uncovered_child_without_an_action(history: History) -> None:
    """An uncovered child whose foreign key does nothing by itself is no reason to refuse."""
    history.given(
        "create table parent (id int primary key)",
        "create table child (id int primary key, p int references parent)",
        "insert into parent values (1), (2)",
        "insert into child values (1, 1)",
        uncovered=["child"],
    )
    history.agent("delete from parent where id = 2")
    assert history.roll_back().rows == {"reinsert": 1}
    history.expect_start()


def test_case_09_updates_reach_no_child(history: History) -> None:
    """Nor is one whose parent was only updated, in columns that the foreign key does not refer to."""
    history.given(
        "create table parent (id int primary key, note text)",
        "create table child (id int primary key, p int references parent on delete cascade on update cascade)",
        "insert into parent values (1, 'a')",
        "insert into child values (1, 1)",
        uncovered=["child"],
    )
    history.agent("update parent set note = 'b'")
    assert history.roll_back().rows == {"restore": 1}
    history.expect_start()


@pytest.mark.parametrize("action", ["set null", "set default"])
def test_case_10_references_come_back_with_the_parent(history: History, action: str) -> None:
    """`on delete set null` / `set default` → references RESTORED with the parent."""
    history.given(
        "create table parent (id int primary key)",
        f"create table child (id int primary key, p int default 1 references parent on delete {action}, note text)",
        "insert into parent values (1), (2)",
        "insert into child values (1, 2, 'x'), (2, 1, 'y'), (3, null, 'z')",
    )
    history.agent("delete from parent where id = 2")
    assert history.roll_back().rows == {"reinsert": 1, "restore": 1}
    history.expect_start()


def test_case_11_self_referencing_tree(history: History) -> None:
    """Self-referencing tree, root deleted → RESTORE."""
    history.given(
        "create table tree (id int primary key, parent int references tree on delete cascade, name text)",
        "insert into tree values (1, null, 'root'), (2, 1, 'a'), (3, 1, 'b'), (4, 2, 'aa'), (5, 4, 'aaa'), (6, null, 'other')",
    )
    history.agent("delete from tree where id = 1")
    assert history.roll_back().rows == {"reinsert": 5}
    history.expect_start()


def test_case_12_deferred_key_that_an_undo_would_break(history: History) -> None:
    """FK `initially deferred` and an undo that would orphan a row → found inside dry run and apply, not at COMMIT."""
    history.given(
        "create table parent (id int primary key)",
        "create table child (id int primary key, p int references parent deferrable initially deferred)",
    )
    history.agent("insert into parent values (9)")
    history.others("insert into child values (1, 9)")
    done = history.roll_back()
    assert done.outcome == "refused"
    assert done.reasons == {"referenced_since"}


def test_case_12_deferred_trigger_that_has_other_ideas(history: History) -> None:
    """[43] A deferred constraint trigger changes the row at the end of the transaction: found inside, not after COMMIT."""
    history.given(
        "create table t (id int primary key, w int)",
        "insert into t values (1, 1)",
        """create function clamp() returns trigger language plpgsql as $$
           begin if new.w = 1 then update public.t set w = 77 where id = new.id; end if; return null; end $$""",
        "create constraint trigger clamp after update on t deferrable initially deferred for each row execute function clamp()",
    )
    history.agent("update t set w = 5")
    for mode in ("refuse", "skip"):
        done = history.roll_back(mode, predicted=False)
        assert done.rows == {"conflict": 1}
        assert done.reasons == {"trigger_rewrote"}
    assert history.rows("table t") == {(1, 5)}


def test_case_12_what_the_caller_deferred_stays_deferred(history: History) -> None:
    """A constraint that is immediate unless deferred: checked within the rollback, and as the caller set it afterwards."""
    history.given(
        "create table parent (id int primary key)",
        "create table child (id int primary key, p int references parent deferrable)",
        "insert into parent values (1)",
        "insert into child values (1, 1)",
    )
    session = history.agent("update child set p = null")
    history.stop()
    for deferred in (True, False):
        with history.operator.transaction(force_rollback=True):
            if deferred:
                history.operator.execute("set constraints all deferred")
            assert history.report("apply", session).rows == {"restore": 1}
            with nullcontext() if deferred else pytest.raises(psycopg.errors.ForeignKeyViolation):
                history.operator.execute("insert into child values (2, 7)")


def test_case_12_callers_own_deferred_work_is_not_disturbed(history: History) -> None:
    """A caller may roll back in the middle of work of its own that is not in order yet."""
    history.given(
        "create table parent (id int primary key, note text)",
        "create table child (id int primary key, p int references parent deferrable initially deferred)",
        "create table mine (id int primary key, other int references mine deferrable initially deferred)",
        "insert into parent values (1, 'a')",
        "insert into child values (1, 1)",
    )
    history.agent("delete from child", "update parent set note = 'b'")
    history.stop()
    with history.operator.transaction():
        history.operator.execute("insert into mine values (1, 2)")
        assert history.report("apply").outcome == "done"
        history.operator.execute("insert into child values (2, 7)")  # deferred as before
        history.operator.execute("insert into mine values (2, null)")
        history.operator.execute("insert into parent values (7, 'c')")
    assert history.rows("table child") == {(1, 1), (2, 7)}


def test_case_13_slot_taken(history: History) -> None:
    """`exclude using gist`: S moves a booking, T takes the slot → CONFLICT with T's row."""
    history.given(
        "create table booking (id int primary key, during int4range, exclude using gist (during with &&))",
        "insert into booking values (1, '[1,5)'), (2, '[5,9)')",
    )
    history.agent(
        "update booking set during = '[20,25)' where id = 1", "update booking set during = '[30,35)' where id = 2"
    )
    history.others("insert into booking values (3, '[2,3)')")
    done = history.roll_back("skip")
    assert done.rows == {"restore": 1, "conflict": 1}
    assert (done.conflict["reason"], done.conflict["constraint"]) == ("exclusion_taken", "booking_during_excl")
    assert "id=3" in done.conflict["theirs"]


def test_case_14_check_added_since(history: History) -> None:
    """CHECK added since, the old image violates it → CONFLICT naming the constraint."""
    history.given("create table t (id int primary key, price int)", "insert into t values (1, 3), (2, 10), (3, 2)")
    history.agent("update t set price = price + 20 where id < 3", "delete from t where id = 3")
    history.others("alter table t add constraint dear check (price > 5)")
    done = history.roll_back("skip")
    assert done.rows == {"restore": 1, "conflict": 2}
    assert done.reasons == {"constraint_added"}
    assert {c["constraint"] for c in done.conflicts} == {"dear"}
    assert done.keys == {"id=1", "id=3"}


def test_case_14_not_null_added_since(history: History) -> None:
    """NOT NULL added since, the old image violates it → CONFLICT naming the column, and the constraint where it has a name."""
    history.given("create table t (id int primary key, note text)", "insert into t values (1, null), (2, 'x')")
    history.agent("update t set note = 'set by the agent'")
    history.others("alter table t alter note set not null")
    done = history.roll_back("skip")
    assert done.rows == {"restore": 1, "conflict": 1}
    assert (done.conflict["reason"], done.conflict["column"]) == ("constraint_added", "note")
    if history.operator.info.server_version >= 180000:
        assert done.conflict["constraint"] == "t_note_not_null"


@pytest.mark.parametrize(
    ("table", "key", "type_"), [("t", "color", "hue"), ("t", '"a%b"', "int"), ('"p%s"', '"%1$s"', "int")]
)
def test_keys_whose_names_or_types_look_like_patterns(history: History, table: str, key: str, type_: str) -> None:
    """A changed key of an enum, or with % in a name, goes back like any other."""
    history.given(
        "create type hue as enum ('1', '2')",
        f"create table {table} ({key} {type_} primary key, v int)",
        f"insert into {table} values ('1', 1)",
    )
    history.agent(f"update {table} set {key} = '2'")
    assert history.roll_back().rows == {"restore": 1}
    history.expect_start()


def test_case_14_unique_added_since(history: History) -> None:
    """UNIQUE added since, the old image violates it → CONFLICT naming the constraint."""
    history.given("create table t (id int primary key, code int)", "insert into t values (1, 5), (2, 5), (3, 6)")
    history.agent("update t set code = code + 10 where id in (1, 3)")
    history.others("alter table t add constraint one_code unique (code)")
    done = history.roll_back("skip")
    assert done.rows == {"restore": 1, "conflict": 1}
    assert (done.conflict["reason"], done.conflict["constraint"], done.keys) == ("unique_taken", "one_code", {"id=1"})


@pytest.mark.parametrize(
    "on", ["(code) where note is null", "(lower(code))", "(lower(code), (id is null)) where note is distinct from 'no'"]
)
def test_case_14_partial_and_expression_indexes(history: History, on: str) -> None:
    """A partial or expression index that the old image violates: the row is a conflict with the row that has its place."""
    history.given(
        "create table t (id int primary key, code text, note text)",
        "insert into t values (1, 'a', null), (2, 'b', null), (3, 'c', null)",
    )
    history.agent("update t set code = code || 'z' where id < 3", "delete from t where id = 3")
    history.others(f"create unique index one_code on t {on}", "insert into t values (4, 'a', null), (5, 'c', null)")
    done = history.roll_back("skip")
    assert done.rows == {"restore": 1, "conflict": 2}
    assert {(c["reason"], c["constraint"], c["table"]) for c in done.conflicts} == {
        ("unique_taken", "one_code", "public.t")
    }
    assert history.rows("table t") == {(1, "az", None), (2, "b", None), (4, "a", None), (5, "c", None)}


def test_case_14_a_place_that_the_rollback_frees_is_not_taken(history: History) -> None:
    """What the same rollback takes away, and what the predicate leaves out, is in nobody's way."""
    history.given(
        "create table t (id int primary key, code text, gone bool not null default false)",
        "create unique index one_code on t (lower(code)) where not gone",
        "insert into t values (1, 'a'), (2, 'b')",
    )
    history.agent("update t set gone = true where id = 1", "insert into t values (3, 'A')")
    history.others("insert into t values (4, 'B', true)")
    assert history.roll_back().rows == {"restore": 1, "remove": 1}


def test_case_13_exclusion_with_a_predicate(history: History) -> None:
    """The same for an exclusion constraint with a predicate."""
    history.given(
        "create table t (id int primary key, during int4range, cancelled bool default false,"
        " constraint one exclude using gist (during with &&) where (not cancelled))",
        "insert into t values (1, '[1,5)'), (2, '[5,9)')",
    )
    history.agent("update t set cancelled = true")
    history.others("insert into t values (3, '[2,4)')")
    done = history.roll_back("skip")
    assert (done.rows, done.reasons, done.keys) == ({"restore": 1, "conflict": 1}, {"exclusion_taken"}, {"id=1"})


def test_case_14_errors_of_the_call_that_raises(history: History) -> None:
    """`journal.rollback` raises what `rollback_report` reports, and the error holds no row value."""
    history.given(
        "create table users (id int primary key, email text unique)", "insert into users values (1, 'secret@x')"
    )
    history.agent("delete from users")
    history.others("insert into users values (9, 'secret@x')")
    history.stop()
    with pytest.raises(psycopg.DatabaseError) as caught:
        history.one("select journal.rollback(%s)", history.session)
    assert caught.value.sqlstate == "JR034"
    assert "secret" not in (caught.value.diag.message_primary or "")
    assert history.rows("select id from users") == {(9,)}


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


def test_case_05_null_that_is_no_other_null(history: History) -> None:
    """NULLS NOT DISTINCT: a place that somebody else has taken, and the plan knows."""
    history.given(
        "create table t (id int primary key, code text, unique nulls not distinct (code))",
        "insert into t values (1, null), (2, 'b')",
    )
    history.agent("update t set code = 'x' where id = 1")
    history.others("update t set code = null where id = 2")
    assert history.roll_back().reasons == {"unique_taken"}


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


@pytest.mark.parametrize("action", ["cascade", "set null", "set default"])
def test_a_foreign_key_restored_in_part_keeps_its_other_column(history: History, action: str) -> None:
    """Two sessions: one points a child at a parent, the other gives that parent a new key. The child's second column holds
    again what it held at first, so it is no change; the parent's way back must not take it along."""
    history.given(
        f"""create table t (a int, b text default 'x', parent_a int, parent_b text default 'a', primary key (a, b),
                            foreign key (parent_a, parent_b) references t on update {action} deferrable)""",
        "insert into t values (1, 'c', null, 'a'), (2, 'b', null, null)",
    )
    first = history.open()
    history.agent("update t set (parent_a, parent_b) = (2, 'b') where a = 1")
    second = history.open()
    history.agent("update t set b = 'a' where a = 2")
    if action != "cascade":
        history.agent("update t set (parent_a, parent_b) = (2, 'a') where a = 1")
    done = history.roll_back("refuse", first, second)
    assert done.outcome == "done"
    history.expect_start()
    history.redo(done)
    assert history.rows("select a, b, parent_a, parent_b from t") == {(1, "c", 2, "a"), (2, "a", None, None)}


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


def test_case_03_a_key_that_another_row_of_the_session_has_now(history: History) -> None:
    """Its children followed, and would have pointed at nothing between the removal of that row and the return of the key."""
    history.given(
        "create table p (id int primary key)",
        "create table c (id int primary key, p int references p on delete restrict on update cascade)",
        "insert into p values (5)",
        "insert into c values (1, 5)",
    )
    history.agent("update p set id = 4", "insert into p values (5)")
    assert history.roll_back().rows == {"restore": 2, "remove": 1}
    history.expect_start()


def test_case_03_a_foreign_key_of_which_one_column_changed_while_its_parents_changed_keys(history: History) -> None:
    """Restored in part it pointed at nothing until the rest was back."""
    history.given(
        "create table t (a int, b int, pa int, pb int, primary key (a, b), foreign key (pa, pb) references t on update cascade)",
        "insert into t values (3, 1, null, null), (2, 2, 2, 2)",
    )
    history.agent("update t set pa = 3, pb = 1 where a = 2", "update t set a = 5 - a")
    assert history.roll_back().rows == {"restore": 2}
    history.expect_start()


def test_case_13_period_taken(history: History) -> None:
    """A key without overlaps is an exclusion: rows go back in place, and not over a period that T has taken."""
    if history.operator.info.server_version < 180000:
        pytest.skip("keys without overlaps are new in PostgreSQL 18")
    history.given(
        "create table t (id int4range, valid daterange, v int, primary key (id, valid without overlaps))",
        "insert into t values ('[1,2)', '[2020-01-01,2021-01-01)', 1), ('[1,2)', '[2021-01-01,2022-01-01)', 2)",
    )
    history.agent(
        "update t set v = 9, valid = '[2020-01-01,2020-06-01)' where v = 1",
        "delete from t where valid @> date '2021-05-05'",
    )
    history.others("insert into t values ('[1,2)', '[2021-07-01,2023-01-01)', 3)")
    done = history.roll_back("skip")
    assert (done.rows, done.reasons) == ({"restore": 1, "conflict": 1}, {"exclusion_taken"})


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


def test_case_07_references_to_a_unique_constraint_of_which_one_column_changed(history: History) -> None:
    """The plan knew the parents only by the columns that the session changed, and ended in an error. Some call columns w1."""
    history.given(
        "create table p (id int primary key, a int, w1 text, unique (a, w1))",
        "create table c (id int primary key, a int, w1 text, foreign key (a, w1) references p (a, w1) on update cascade)",
        "insert into p values (1, 1, 'x'), (2, 2, 'x')",
        "insert into c values (1, 1, 'x'), (2, 1, 'x')",
    )
    history.agent("update p set a = 3 where id = 1", "update c set a = 2 where id = 2")
    assert history.roll_back().rows == {"restore": 3}
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


def test_constraints_that_are_not_enforced(history: History) -> None:
    """What the server does not hold is no reason to leave a row, neither one that comes back nor one that goes."""
    if history.operator.info.server_version < 180000:
        pytest.skip("constraints are always enforced before PostgreSQL 18")
    history.given(
        "create table p (id int primary key)",
        "create table c (id int primary key, p_id int references p not enforced, v int check (v > 0) not enforced)",
        "insert into c values (1, 99, -1)",
    )
    history.agent("delete from c", "insert into p values (5)")
    history.others("insert into c values (2, 5, 1)")
    assert history.roll_back().rows == {"remove": 1, "reinsert": 1}
    assert history.rows("table c") == {(1, 99, -1), (2, 5, 1)}


@pytest.mark.parametrize("unique", ["unique (low)", "unique (low) deferrable", "exclude (low with =) where (id <> 9)"])
def test_case_05_a_place_by_a_generated_column(history: History, unique: str) -> None:
    """What it would be is worked out from the columns as they would be: taken, it is T's; left in the same rollback, it is free."""
    history.given(
        f"create table t (id int primary key, mail text, low text generated always as (lower(mail)) stored, {unique})",
        "insert into t values (1, 'A'), (2, 'B'), (3, 'C'), (4, 'D')",
    )
    history.agent(
        "update t set mail = 'x' where id = 1",
        "update t set mail = 'a' where id = 2",
        "update t set mail = 'b' where id = 3",
    )
    history.agent("update t set mail = 'y' where id = 4")
    history.others("insert into t values (5, 'd')")
    done = history.roll_back("skip")
    assert (done.rows, done.reasons <= {"unique_taken", "exclusion_taken"}) == ({"restore": 3, "conflict": 1}, True)
    history.others("delete from t where id = 5", "update t set mail = 'D' where id = 4")
    history.expect_start()
