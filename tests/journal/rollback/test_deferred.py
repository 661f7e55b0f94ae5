"""Case 12: what is deferred to the end of the transaction."""

from __future__ import annotations

from contextlib import nullcontext

import psycopg
import pytest

from tests.journal.rollback.history import History


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
