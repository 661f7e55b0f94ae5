"""`journal stop` and `journal resume`."""

from __future__ import annotations

import click

import journal
from journal.cli.failures import EXIT_NOTHING, UsageError
from journal.cli.paper import print_json, say
from journal.cli.queries.ids import find_id
from journal.cli.shell import Shell, with_shell


@click.command()
@click.option("--session", metavar="ID", help="This session and those that it opened, for good.")
@click.option("--agent", metavar="NAME", help="Every session that goes by this name, until it is resumed.")
@click.option("--reason", required=True, metavar="TEXT", help="Why; shown to the agent and in the views.")
@with_shell
def stop(shell: Shell, *, session: str | None, agent: str | None, reason: str) -> None:
    """Stop a session or an agent: it begins no further step. A step that is running may still commit.

    An agent is known by the name that it gives itself. Against a database role that gives another name, revoke its rights.
    """
    if bool(session) == bool(agent):
        raise UsageError("name a session with --session, or an agent with --agent")
    with shell.connect() as conn:
        if session:
            session_id = find_id(conn, "session", session)
            journal.stop_session(conn, session_id, reason)
            stopped = str(session_id)
        else:
            stopped = str(agent)
            journal.stop_agent(conn, stopped, reason)
    if shell.json:
        what = "session_id" if session else "agent"
        print_json({"schema": "journal.stop/1", "outcome": "done", "exit_code": 0, what: stopped, "reason": reason})
    say(f"stopped {'session' if session else 'agent'} {stopped}")


@click.command()
@click.option("--agent", required=True, metavar="NAME", help="The agent that may work again.")
@with_shell
def resume(shell: Shell, *, agent: str) -> int:
    """Let a stopped agent work again. Sessions that were stopped one by one stay stopped."""
    with shell.connect() as conn:
        resumed = journal.resume_agent(conn, agent)
    code = 0 if resumed else EXIT_NOTHING
    if shell.json:
        print_json(
            {
                "schema": "journal.resume/1",
                "outcome": "done" if resumed else "nothing",
                "exit_code": code,
                "agent": agent,
            }
        )
    say(f"agent {agent} may work again" if resumed else f"agent {agent} was not stopped")
    return code
