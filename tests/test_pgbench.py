"""pgbench's TPC-B load goes on while an agent works on the same rows and is rolled back: nothing else differs."""

from __future__ import annotations

from typing import LiteralString

import psycopg
import pytest

import journal
from benchmarks import pgbench
from tests import rig

SECONDS = 8
_SPARE_ACCOUNTS = range(100_001, 100_101)  # beyond those that pgbench touches

_COPY: tuple[LiteralString, ...] = (
    "insert into pgbench_accounts select n, 1, 0, 'spare' from generate_series(100001, 100100) as n",
    "create table accounts_before as table pgbench_accounts",
    "create table tellers_before as table pgbench_tellers",
    "create table branches_before as table pgbench_branches",
)

# What each row must be: as it was, with the deltas of pgbench's own history.
_DIFFERENT: dict[str, LiteralString] = {
    "accounts": """
        with delta as (select aid, sum(delta) as delta from pgbench_history group by aid)
        select count(*) from (select b.aid, b.bid, b.abalance + coalesce(d.delta, 0) as abalance, b.filler
                                from accounts_before as b left join delta as d using (aid)) as model
          full join pgbench_accounts as live using (aid)
         where (model.bid, model.abalance, model.filler::text) is distinct from (live.bid, live.abalance, live.filler::text)""",
    "tellers": """
        with delta as (select tid, sum(delta) as delta from pgbench_history group by tid)
        select count(*) from (select b.tid, b.bid, b.tbalance + coalesce(d.delta, 0) as tbalance, b.filler
                                from tellers_before as b left join delta as d using (tid)) as model
          full join pgbench_tellers as live using (tid)
         where (model.bid, model.tbalance, model.filler::text) is distinct from (live.bid, live.tbalance, live.filler::text)""",
    "branches": """
        with delta as (select bid, sum(delta) as delta from pgbench_history group by bid)
        select count(*) from (select b.bid, b.bbalance + coalesce(d.delta, 0) as bbalance, b.filler
                                from branches_before as b left join delta as d using (bid)) as model
          full join pgbench_branches as live using (bid)
         where (model.bbalance, model.filler::text) is distinct from (live.bbalance, live.filler::text)""",
}

_INVARIANT = """
    select (select sum(delta) from pgbench_history),
           (select sum(abalance) from pgbench_accounts),
           (select sum(tbalance) from pgbench_tellers),
           (select sum(bbalance) from pgbench_branches)"""


def work(conn: psycopg.Connection) -> journal.AgentSession:
    """An agent on the rows that pgbench works on, in the other columns, and on rows of its own."""
    session = journal.open_session(conn, agent="housekeeper", task="tidy up fillers")
    with session.step("label_accounts"):
        conn.execute("update pgbench_accounts set filler = 'labelled' where aid % 20 = 0 and aid <= 100000")
    with session.step("label_tellers"):
        conn.execute("update pgbench_tellers set filler = 'labelled'")
    with session.step("label_branches"):  # not in one transaction with tellers: pgbench locks these in the other order
        conn.execute("update pgbench_branches set filler = 'labelled'")
    with session.step("replace_spare_accounts"):
        conn.execute("delete from pgbench_accounts where aid between 100001 and 100100")
        conn.execute("insert into pgbench_accounts select n, 1, 0, 'new' from generate_series(200001, 200050) as n")
    return session


@pytest.mark.timeout(120)
@pytest.mark.long
def test_a_rollback_under_tpcb_load_leaves_pgbenchs_invariant_and_every_other_row_alone(
    postgres: rig.Cluster, dsn: str, conn: psycopg.Connection
) -> None:
    program = postgres.server.bin_dir / "pgbench"
    pgbench.initialize(program, dsn)
    for statement in _COPY:
        conn.execute(statement)
    pgbench.cover(conn)

    with pgbench.load(program, dsn, SECONDS) as load:
        until_it_writes(conn)
        session = work(conn)
        between = transactions(conn)
        report = journal.rollback(conn, session.id)
        went_on = load.running

    assert went_on, "the load ended before the rollback did"
    assert transactions(conn) > between > 0
    assert report.as_json()["outcome"] == "done"
    assert report.as_json()["rows"]["conflict"] == 0
    history, *balances = conn.execute(_INVARIANT).fetchone() or ()
    assert balances == [history] * 3
    assert {table: count(conn, query) for table, query in _DIFFERENT.items()} == dict.fromkeys(_DIFFERENT, 0)


def until_it_writes(conn: psycopg.Connection) -> None:
    """Wait for the load's first transaction: on a busy machine its clients take a while to connect."""
    with conn.transaction():
        conn.execute("set local statement_timeout = '60s'")
        conn.execute("""
            do $until_it_writes$
            begin
                while not exists (select from pgbench_history) loop
                    perform pg_sleep(0.05);
                end loop;
            end
            $until_it_writes$""")


def transactions(conn: psycopg.Connection) -> int:
    return count(conn, "select count(*) from pgbench_history")


def count(conn: psycopg.Connection, query: LiteralString) -> int:
    row = conn.execute(query).fetchone()
    assert row is not None
    return int(row[0])
