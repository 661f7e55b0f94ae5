"""`python -m tests.journal.steps.dying_client DSN PORT`: charges order after order, and each time dies one line later.

Every line of the client's own function and of journal/external.py is a place to die: a forked child counts the lines that it
enters, and leaves at the n-th without a word. Prints how many of them died.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from types import FrameType
from typing import Any

import psycopg

import journal
from journal import external
from tests.journal.steps.provider import Provider

_DIED = 9
_FILES = {str(Path(__file__)), external.__file__}


def charge_order(conn: psycopg.Connection, provider: Provider, key: str) -> None:
    session = journal.open_session(conn, agent="bot")
    with session.external("charge", key=key, probe=provider.find) as step:
        conn.execute("insert into notes (note) values (%s)", [f"charging {key}"])
        charge = provider.charge(step.provider_key)
        conn.execute("insert into notes (note) values (%s)", [charge["charge"]])
        step.complete(charge)
    session.close()


def _die_at(last: int) -> Any:
    entered = 0

    def trace(frame: FrameType, event: str, _: Any) -> Any:
        nonlocal entered
        if frame.f_code.co_filename not in _FILES:
            return None
        if event == "line":
            entered += 1
            if entered == last:
                os._exit(_DIED)
        return trace

    return trace


def _child(dsn: str, provider: Provider, number: int) -> None:
    with psycopg.connect(dsn, autocommit=True) as conn:
        sys.settrace(_die_at(number))
        charge_order(conn, provider, f"order-{number}")
        sys.settrace(None)
    os._exit(0)


def main(dsn: str, port: str) -> None:
    provider = Provider(int(port))
    number, status = 0, _DIED
    while status == _DIED:
        number += 1
        child = os.fork()
        if child == 0:
            _child(dsn, provider, number)
        status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    if status != 0:
        raise SystemExit(status)
    print(number - 1)  # noqa: T201  what the test reads


if __name__ == "__main__":
    main(*sys.argv[1:])
