"""Step 7 of 14 that crashed.

A job of fourteen calls dies in the seventh, which moves money at a bank. What is done? What is safe to run again? What needs a
person? The database says, and then the whole job is simply run again.

    python -m examples.step_7_of_14 postgresql://…
"""

from __future__ import annotations

import sys
from typing import NoReturn

import psycopg

import journal

STEPS = [*(f"copy account {n}" for n in range(1, 7)), "move the deposit", *(f"close account {n}" for n in range(1, 8))]


class Bank:
    """Somebody else's API. It takes the money, and then nothing more is heard of it."""

    def __init__(self) -> None:
        self.transfers: list[str] = []

    def transfer(self, idempotency_key: str) -> NoReturn:
        self.transfers.append(idempotency_key)
        raise TimeoutError


def job(conn: psycopg.Connection, bank: Bank) -> None:
    """The same program, first time and every time. The run's name finds its session again."""
    agent = journal.open_session(conn, agent="migration-bot", run_id="merge 2026-11")
    for name in STEPS:
        step = move_deposit(agent, bank, name) if name == "move the deposit" else agent.run(name, one_row, key=name)
        print(f"{'was done before' if step.replayed else 'done':16} {name}")
    agent.close()


def one_row(step: journal.Step) -> None:
    step.conn.execute("insert into done default values")


def move_deposit(agent: journal.AgentSession, bank: Bank, name: str) -> journal.Step:
    with agent.external(name, key="deposit", arguments={"amount": 5000}, kind="irreversible") as step:
        if not step.replayed:
            bank.transfer(step.provider_key)
    return step


def report(conn: psycopg.Connection) -> None:
    """For whoever is on call."""
    status: dict[str, str] = dict(
        conn.execute("select tool, status from journal.steps where replay_of is null").fetchall()
    )
    groups: dict[str, list[str]] = {"done": [], "needs a person": [], "safe to run": []}
    for name in STEPS:
        found = {"completed": "done", "unknown": "needs a person", "intended": "needs a person"}
        groups[found.get(status.get(name, ""), "safe to run")].append(name)
    for group, names in groups.items():
        print(f"{group}: {len(names)} of {len(STEPS)}{f' ({names[0]})' if len(names) == 1 else ''}")


def main(dsn: str) -> None:
    bank = Bank()
    with psycopg.connect(dsn, autocommit=True) as conn:
        conn.execute("create table done (at timestamptz default now())")
        for _ in range(2):
            try:
                job(conn, bank)
            except journal.OutcomeUnknown as error:
                print(f"stopped: {error}")
        report(conn)
        (step_id,) = conn.execute("select step_id from journal.externals where status = 'unknown'").fetchone() or ()
        # journal external resolve STEP completed --note "the bank confirms it"
        conn.execute("select journal.resolve_external(%s, 'completed', 'the bank confirms it')", [step_id])
        job(conn, bank)
        report(conn)
        print("transfers:", len(bank.transfers))


if __name__ == "__main__":
    main(sys.argv[1])
