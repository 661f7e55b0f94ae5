"""Cases 51 to 55: triggers and security."""

from __future__ import annotations

import psycopg
import pytest

import journal
from tests.journal.rollback.history import History, Report, check_counts, report

TOUCH = (
    """create function touch() returns trigger language plpgsql as $$
       begin new.updated_at = clock_timestamp(); new.version = old.version + 1; return new; end $$""",
)
PRODUCTS = (
    *TOUCH,
    """create table products (id int primary key, price int, note text,
                                updated_at timestamptz default now(), version int default 1)""",
    "insert into products (id, price, note) values (1, 10, 'a'), (2, 10, 'b')",
    "create trigger touch before update on products for each row execute function touch()",
)


@pytest.mark.parametrize("declared", [False, True], ids=["probed", "declared"])
def test_case_51_maintained_columns(history: History, declared: bool) -> None:
    """A BEFORE trigger sets `updated_at = now()` on every table, S and T both wrote the row in different columns → RESTORE and
    KEEP, the maintained column keeps the trigger's value and is reported (found by probing or declared)."""
    history.given(*PRODUCTS, products={"maintained": ["updated_at", "version"]} if declared else {})
    history.agent("update products set price = 20")
    history.others("update products set note = 'theirs' where id = 1")
    done = history.roll_back()
    assert done.rows == {"restore": 2}
    assert set(done.table("public.products")["maintained"]) == {"updated_at", "version"}
    assert history.rows("select id, price, note, version from products") == {(1, 10, "theirs", 4), (2, 10, "b", 3)}
    assert history.redo(done).rows == {"restore": 2}
    assert history.rows("select id, price, note from products") == {(1, 20, "theirs"), (2, 20, "b")}


def test_case_51_maintained_columns_of_deleted_rows(history: History) -> None:
    """A deleted row comes back with the values it had."""
    history.given(*PRODUCTS)
    history.agent("delete from products")
    assert history.roll_back().rows == {"reinsert": 2}
    history.expect_start()


def test_case_51_version_number_that_the_application_writes(history: History) -> None:
    """An ORM's version number, declared as maintained: S and T both counted it up."""
    history.given(
        "create table t (id int primary key, a int, b int, version int default 1)",
        "insert into t values (1, 1, 1), (2, 2, 2)",
        t={"maintained": ["version"]},
    )
    history.agent("update t set a = 9, version = version + 1")
    history.others("update t set b = 7, version = version + 1 where id = 1")
    assert history.roll_back().rows == {"restore": 2}
    assert history.rows("select id, a, b from t") == {(1, 1, 7), (2, 2, 2)}


@pytest.mark.parametrize("timing", ["before", "after"])
def test_case_51_trigger_that_rewrites_something_else(history: History, timing: str) -> None:
    """A trigger that rewrites anything else → CONFLICT."""
    body = (
        "new.price = 99; return new"
        if timing == "before"
        else "update public.t set price = 99 where id = new.id; return null"
    )
    history.given(
        "create table t (id int primary key, price int)",
        "insert into t values (1, 10), (2, 12)",
        f"""create function meddle() returns trigger language plpgsql as $$ begin {body}; end $$""",
    )
    history.agent("update t set price = 20 where id = 1", "update t set price = 30 where id = 2")
    history.others(
        f"create trigger meddle {timing} update on t for each row when (new.price = 10) execute function meddle()"
    )
    done = history.roll_back("skip", predicted=False)
    assert done.rows == {"restore": 1, "conflict": 1}
    assert (done.conflict["reason"], done.conflict["column"]) == ("trigger_rewrote", "price")
    assert history.rows("table t") == {(1, 20), (2, 12)}


@pytest.mark.parametrize("timing", ["before", "after"])
def test_case_52_summary_kept_by_a_trigger(history: History, timing: str) -> None:
    """[41] A trigger maintains a summary row in a covered table → its effect is undone once, not twice."""
    history.given(
        "create table item (id int primary key, amount int)",
        "create table summary (id int primary key, n int, total int)",
        "insert into summary values (1, 0, 0)",
        """create function keep() returns trigger language plpgsql as $$ begin
           update public.summary set n = n + case tg_op when 'INSERT' then 1 when 'DELETE' then -1 else 0 end,
                  total = total + coalesce(case when tg_op <> 'DELETE' then new.amount end, 0)
                                - coalesce(case when tg_op <> 'INSERT' then old.amount end, 0);
           return coalesce(new, old); end $$""",
        f"create trigger keep {timing} insert or update or delete on item for each row execute function keep()",
        "insert into item values (1, 10), (2, 20)",
    )
    history.agent(
        "insert into item values (3, 5), (4, 6)",
        "update item set amount = 11 where id = 1",
        "delete from item where id = 2",
    )
    done = history.roll_back()
    assert done.outcome == "done"
    history.expect_start()
    assert history.redo(done).outcome == "done"
    assert history.rows("table summary") == {(1, 3, 22)}


def test_case_52_summary_that_others_changed_too(history: History) -> None:
    """The same, T inserted an item in between: the summary is kept right by the trigger, or left as a conflict, never wrong."""
    history.given(
        "create table item (id int primary key, amount int)",
        "create table summary (id int primary key, total int)",
        "insert into summary values (1, 0)",
        """create function keep() returns trigger language plpgsql as $$ begin
           update public.summary set total = total + coalesce(case when tg_op <> 'DELETE' then new.amount end, 0)
                                                   - coalesce(case when tg_op <> 'INSERT' then old.amount end, 0);
           return null; end $$""",
        "create trigger keep after insert or update or delete on item for each row execute function keep()",
    )
    history.agent("insert into item values (1, 10)")
    history.others("insert into item values (2, 5)")
    done = history.roll_back("skip", followers=["summary"], predicted=False)
    assert history.one("select total from summary") == history.one("select sum(amount) from item")
    assert done.outcome in {"done", "partly"}


def test_case_52_audit_rows_written_by_a_trigger(history: History) -> None:
    """A trigger writes a row into a covered audit table for each change: the rows of the session go, those of the undo are new."""
    history.given(
        "create table item (id int primary key, amount int)",
        "create table audit (id int generated always as identity primary key, item int, amount int)",
        """create function log() returns trigger language plpgsql as $$ begin
           insert into public.audit (item, amount) values (new.id, new.amount); return null; end $$""",
        "insert into item values (1, 10)",
        "create trigger log after update on item for each row execute function log()",
    )
    history.agent("update item set amount = 11")
    done = history.roll_back(predicted=False, followers=["audit"])
    assert done.outcome == "done"
    assert history.rows("table item") == {(1, 10)}
    assert history.rows("select item, amount from audit") == {(1, 10)}


@pytest.mark.parametrize("event", ["update", "delete", "insert"])
def test_case_53_trigger_that_swallows_the_undo(history: History, event: str) -> None:
    """A trigger returns NULL → CONFLICT, never "applied"."""
    history.given(
        "create table t (id int primary key, v int)",
        "insert into t values (1, 1), (2, 2)",
        "create function swallow() returns trigger language plpgsql as $$ begin return null; end $$",
    )
    history.agent(
        {
            "update": "update t set v = 9 where id = 1",
            "delete": "insert into t values (3, 3)",
            "insert": "delete from t where id = 1",
        }[event]
    )
    history.others(f"create trigger swallow before {event} on t for each row execute function swallow()")
    before = history.rows("table t")
    done = history.roll_back("skip", predicted=False)
    assert done.rows == {"conflict": 1}
    assert done.reasons == {"trigger_rewrote"}
    assert history.rows("table t") == before


def test_case_53_trigger_that_raises(history: History) -> None:
    """A trigger that raises refuses the whole rollback; nothing is applied, and the message is not lost."""
    history.given(
        "create table t (id int primary key, v int)",
        "insert into t values (1, 1), (2, 2)",
        "create function forbid() returns trigger language plpgsql as $$ begin raise 'prices only go up'; end $$",
    )
    history.agent("update t set v = v + 10")
    history.others(
        "create trigger forbid before update on t for each row when (new.v < old.v) execute function forbid()"
    )
    done = history.roll_back("skip", predicted=False)
    assert (done.outcome, done.exit_code) == ("refused", 3)
    assert (done.conflict["reason"], done.conflict["theirs"]) == ("trigger_rewrote", "prices only go up")


def test_case_53_constraint_that_writes(history: History) -> None:
    """No trigger anywhere, but the check of a later table changes what an earlier one got back."""
    history.given(
        "create table t (id int primary key, v int)",
        "create table switch (id int primary key)",
        """create function meddles(int) returns boolean language plpgsql as $$
           begin update public.t set v = 77 where exists (select from public.switch); return true; end $$""",
        "create table u (id int primary key, v int check (meddles(v)))",
        "insert into t values (1, 1)",
        "insert into u values (1, 1)",
    )
    history.agent("update t set v = 9", "update u set v = 9")
    history.others("insert into switch values (1)")
    done = history.roll_back(predicted=False)
    assert (done.outcome, done.reasons) == ("refused", {"trigger_rewrote"})
    assert history.rows("table t") == {(1, 9)}


def test_case_53_rule_that_swallows_the_undo(history: History) -> None:
    """A rule that was added since swallows the undo → REFUSE or CONFLICT."""
    history.given("create table t (id int primary key, v int)", "insert into t values (1, 1)")
    history.agent("update t set v = 9")
    history.others("create rule swallow as on update to t do instead nothing")
    done = history.roll_back("skip", predicted=False)
    assert done.outcome in {"refused", "partly"}
    assert not done.committed or done.rows == {"conflict": 1}
    assert history.rows("table t") == {(1, 9)}


def as_operator(history: History, role: str, mode: str = "apply", **arguments: object) -> Report:
    history.stop()
    assert history.session is not None
    with history.connect(history.as_role(role)) as operator:
        return report(operator, mode, [history.session], **arguments)


def test_case_54_row_security_hides_rows(history: History) -> None:
    """FORCE ROW LEVEL SECURITY hides rows from the operator → an error, not a fake success."""
    history.given(
        "create table t (id int primary key, tenant text)",
        "insert into t values (1, 'a'), (2, 'b')",
        "alter table t enable row level security",
        "alter table t force row level security",
        "create policy everyone on t using (true)",
    )
    role = history.role("operator", "journal_operator")
    history.operator.execute(f"grant all on t to {role}".encode())
    history.operator.execute("alter table t no force row level security")
    history.agent("update t set tenant = 'x'")
    history.operator.execute("alter table t force row level security")
    with pytest.raises(psycopg.DatabaseError) as caught:
        as_operator(history, role)
    assert caught.value.sqlstate == "JR035"
    assert "hidden_by_rls" in (caught.value.diag.message_detail or "")


@pytest.mark.parametrize("action", ["cascade", "set null", "no action"])
@pytest.mark.parametrize("hidden_by", ["row security", "no privilege"])
def test_case_54_rows_that_the_operator_cannot_see_are_not_taken_along(
    history: History, action: str, hidden_by: str
) -> None:
    """Somebody hung a row below ours in a table that the operator cannot see whole: the foreign key must not take it."""
    history.given(
        "create table parents (id int primary key)",
        f"create table children (id int primary key, parent int references parents on delete {action})",
    )
    role = history.role("operator", "journal_operator")
    history.operator.execute(f"grant all on parents to {role}".encode())
    if hidden_by == "row security":
        history.operator.execute(f"grant all on children to {role}".encode())
        history.operator.execute("create policy mine on children using (id < 10)")
    history.agent("insert into parents values (1)")
    history.others("insert into children values (10, 1)")
    if hidden_by == "row security":
        history.operator.execute("alter table children enable row level security")
    done = as_operator(history, role)
    assert (done.outcome, done.exit_code) == ("refused", 3)
    expected = {"hidden_by_rls" if hidden_by == "row security" else "no_privilege"}
    assert done.reasons == (expected if action != "no action" else {"referenced_since"})
    assert history.rows("table parents") == {(1,)}
    history.operator.execute("alter table children disable row level security")
    assert history.rows("table children") == {(10, 1)}


def test_case_54_a_parent_that_the_operator_cannot_see_is_left_to_the_database(history: History) -> None:
    """The server looks for the parent of a row that comes back with the rights of its owner."""
    history.given(
        "create table parents (id int primary key)",
        "create table children (id int primary key, parent int references parents)",
        "insert into parents values (1)",
        "insert into children values (1, 1)",
    )
    role = history.role("operator", "journal_operator")
    history.operator.execute(f"grant all on children to {role}".encode())
    history.agent("delete from children")
    assert as_operator(history, role).rows == {"reinsert": 1}


def test_only_a_rollback_may_mark_what_it_takes_back(history: History) -> None:
    """The pieces of a rollback are of no use by themselves: nothing is marked outside of one."""
    history.given("create table t (id int primary key, price int)", "insert into t values (1, 1)")
    role = history.role("operator", "journal_operator")
    session = history.agent("update t set price = 2", "select outbox.publish('prices', '1', '{}')")
    history.stop()
    with history.connect(history.as_role(role)) as operator:
        for call in (
            "select journal.undo_account(gen_random_uuid(), array[%s::uuid], null, false, '{}')",
            "select journal.undo_messages('{}', array[%s::uuid], null, gen_random_uuid(), '{}', '{}')",
            """select journal.undo_record(jsonb_build_object('rollback_id', gen_random_uuid(), 'x', %s::text), null, '[]', '[]')""",
        ):
            with pytest.raises(psycopg.errors.InsufficientPrivilege, match="only a rollback"):
                operator.execute(call.encode(), [session])
    assert history.rows("select status from outbox.messages") == {("pending",)}
    assert history.rows("select reversed from journal.sessions") == {("no",)}


def test_case_55_missing_right_on_a_column(history: History) -> None:
    """The operator lacks UPDATE on a column → REFUSE at plan time; no privilege is escalated."""
    history.given("create table t (id int primary key, price int, note text)", "insert into t values (1, 1, 'a')")
    role = history.role("operator", "journal_operator")
    history.operator.execute(f"grant select, update (price) on t to {role}".encode())
    history.agent("update t set price = 2, note = 'b'")
    for mode in ("plan", "dry_run", "apply"):
        done = as_operator(history, role, mode, on_conflict="skip")
        check_counts(done)
        assert (done.outcome in {"refused", "planned"}, done.rows) == (True, {"refuse": 1})
        assert (done.conflict["reason"], done.conflict["column"]) == ("no_privilege", "note")
    assert history.rows("table t") == {(1, 2, "b")}


def test_case_55_right_on_the_changed_column_is_enough(history: History) -> None:
    """[47] UPDATE on the changed column only is enough, and the user's triggers on other columns do not fire."""
    history.given(
        "create table t (id int primary key, price int, note text)",
        "insert into t values (1, 1, 'a')",
        "create function forbid() returns trigger language plpgsql as $$ begin raise 'not this one'; end $$",
        "create trigger forbid before update of note on t for each row execute function forbid()",
    )
    role = history.role("operator", "journal_operator")
    history.operator.execute(f"grant select, update (price) on t to {role}".encode())
    history.agent("update t set price = 2")
    assert as_operator(history, role).rows == {"restore": 1}
    history.expect_start()


@pytest.mark.parametrize(("missing", "work"), [("delete", "insert into t values (2, 2)"), ("insert", "delete from t")])
def test_case_55_missing_right_on_the_table(history: History, missing: str, work: str) -> None:
    """DELETE or INSERT missing → REFUSE."""
    history.given("create table t (id int primary key, price int)", "insert into t values (1, 1)")
    role = history.role("operator", "journal_operator")
    history.operator.execute(f"grant select, insert, update, delete on t to {role}".encode())
    history.operator.execute(f"revoke {missing} on t from {role}".encode())
    history.agent(work)
    done = as_operator(history, role)
    assert (done.outcome, done.rows, done.reasons) == ("refused", {"refuse": 1}, {"no_privilege"})


def test_case_55_missing_right_to_read(history: History) -> None:
    """Whoever may not read the table sees no image of it, not even in a plan."""
    history.given("create table t (id int primary key, price int)", "insert into t values (1, 1)")
    role = history.role("operator", "journal_operator")
    history.agent("update t set price = 2")
    with pytest.raises(psycopg.DatabaseError) as caught:
        as_operator(history, role, "plan")
    assert caught.value.sqlstate == "JR035"


def test_case_55_an_operator_who_owns_nothing_among_others(history: History) -> None:
    """Rows that others wrote since, or depend on: to find out needs the record of everybody's work, not the right to read it."""
    history.given(
        "create table t (id int primary key, price int, note text)",
        "create table line (id int primary key, t_id int references t)",
        "insert into t values (1, 1), (2, 2)",
    )
    role = history.role("operator", "journal_operator")
    history.operator.execute(f"grant all on t, line to {role}".encode())
    history.agent("update t set price = 9", "insert into t values (3, 3)")
    history.others(
        "update t set note = 'x' where id = 1", "update t set price = 8 where id = 2", "insert into line values (1, 3)"
    )
    history.stop()
    done = [as_operator(history, role, mode, on_conflict="skip") for mode in ("plan", "apply")][-1]
    assert (done.rows, done.keys) == ({"restore": 1, "conflict": 2}, {"id=2", "id=3"})
    assert history.rows("table t") == {(1, 1, "x"), (2, 8, None), (3, 3, None)}


def test_case_55_agents_may_not_roll_back(history: History) -> None:
    """An agent may not roll back at all."""
    history.given("create table t (id int primary key, price int)", "insert into t values (1, 1)")
    role = history.role("agent", "journal_agent")
    history.operator.execute(f"grant all on t to {role}".encode())
    history.agent("update t set price = 2")
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        as_operator(history, role, "plan")


VALUES = ("key", "base", "ours", "theirs")


def skipped_conflict(history: History) -> Report:
    """Salaries, one of which somebody changed since: a rollback with a conflict left as residue."""
    history.given("create table salaries (id int primary key, amount int)", "insert into salaries values (1, 111)")
    history.agent("update salaries set amount = 222")
    history.others("update salaries set amount = 333")
    history.stop()
    return history.report("apply", on_conflict="skip")


def values_of(item: dict[str, object]) -> list[object]:
    return [item[name] for name in VALUES]


def test_values_of_residue_are_shown_as_images_are(history: History) -> None:
    """Readers see key, base, ours and theirs of the columns that they may select now, and no column under an old name."""
    done = skipped_conflict(history)
    whole: list[object] = [{"id": "1"}, "111", "222", "333"]
    assert values_of(done.conflict) == whole
    reader, auditor = (history.role("r", group) for group in ("journal_reader", "journal_auditor"))

    def seen(role: str) -> list[object]:
        with history.connect(history.as_role(role)) as connection:
            (row,) = connection.execute("select key, base, ours, theirs from journal.residue").fetchall()
        return list(row)

    assert (seen(reader), seen(auditor)) == ([None] * 4, whole)
    history.operator.execute(f"grant select (amount) on salaries to {reader}".encode())
    assert seen(reader) == [None, *whole[1:]]
    history.operator.execute(f"grant select on salaries to {reader}".encode())
    assert seen(reader) == whole
    history.operator.execute("alter table salaries drop amount, add amount int")
    assert seen(reader) == [{"id": "1"}, None, None, None]
    history.operator.execute("alter table salaries enable row level security")
    assert (seen(reader), seen(auditor)) == ([None] * 4, whole)
    history.operator.execute("drop table salaries")
    assert (seen(reader), seen(auditor)) == ([None] * 4, whole)


def test_a_stored_report_has_values_for_auditors_only(history: History) -> None:
    """`journal.rollbacks.report` is for all readers; who rolled back got the whole of it."""
    done = skipped_conflict(history)
    seen = {}
    for group in ("journal_reader", "journal_operator", "journal_auditor"):
        with history.connect(history.as_role(history.role("r", group))) as connection:
            ((report,),) = connection.execute("select report from journal.rollbacks").fetchall()
        seen[group] = values_of(report["conflicts"][0])
        assert report["conflicts"][0]["reason"] == "changed_since"
    whole = values_of(done.conflict)
    assert seen == {"journal_reader": [None] * 4, "journal_operator": [None] * 4, "journal_auditor": whole}


def test_what_sql_raises_holds_no_values(history: History) -> None:
    """Errors end in the server's log, so they tell table, column and reason; Python's own calls tell the rest."""
    history.given("create table t (id text primary key, v text)", "insert into t values ('SECRET-KEY', 'SECRET-BASE')")
    history.agent("update t set v = 'SECRET-OURS'")
    history.others("update t set v = 'SECRET-THEIRS'")
    history.stop()
    with pytest.raises(psycopg.DatabaseError) as caught:
        history.operator.execute("select journal.rollback(%s)", (history.session,))
    raised = caught.value.diag
    assert "SECRET" not in f"{raised.message_primary} {raised.message_detail} {raised.message_hint} {raised.context}"
    error = journal.from_database(caught.value)
    assert isinstance(error, journal.RollbackConflict)
    (conflict,) = error.conflicts
    assert (conflict["table"], conflict["column"], conflict["reason"]) == ("public.t", "v", "changed_since")
    assert error.plan["rows"]["conflict"] == 1
    with pytest.raises(journal.RollbackConflict) as told:
        journal.rollback(history.operator, history.session)
    assert values_of(told.value.conflicts[0]) == [{"id": "SECRET-KEY"}, "SECRET-BASE", "SECRET-OURS", "SECRET-THEIRS"]


def test_values_of_a_dropped_column_are_the_auditors(history: History) -> None:
    """Whoever else rolls back has the same plan, refused for the same reason, without the values."""
    history.given(
        "create table t (id int primary key, secret text, n int)", "insert into t values (1, 'a', 1), (2, null, 2)"
    )
    history.agent("update t set secret = 'b', n = 9 where id = 1", "delete from t where id = 2")
    history.agent("update t set secret = 'c' where id = 1")
    history.operator.execute("alter table t drop secret")
    operator, auditor = history.role("operator", "journal_operator"), history.role("auditor", "journal_operator")
    history.cluster.admin.execute(f"grant journal_auditor to {auditor}".encode())
    history.operator.execute(f"grant all on t to {operator}, {auditor}".encode())
    blind, seeing = as_operator(history, operator, "plan"), as_operator(history, auditor, "plan")
    assert (blind.digest, blind.rows, blind.reasons) == (seeing.digest, seeing.rows, {"column_dropped"})
    assert blind.rows == {"refuse": 1, "reinsert": 1}
    assert values_of(blind.conflict) == [{"id": "1"}, None, None, None]
    assert values_of(seeing.conflict) == [{"id": "1"}, "a", "c", None]
    segments = history.one("select array_agg(distinct segment_id) from journal.statement")
    with history.connect(history.as_role(operator)) as connection:
        images = connection.execute(
            """select i.old, i.new from journal.undo_images('t'::regclass, %s, null, %s, '{2}')
                 as i (statement_id bigint, transaction_id xid8, ledger_xmin xid, same_cluster boolean, depth smallint,
                       elided int2[], old text, new text) order by statement_id""",
            ([history.session], segments),
        ).fetchall()
    assert not {"a", "b", "c"} & {value for row in images for value in row}
