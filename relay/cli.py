"""The command `relay`: delivers messages, and says how that goes. Results on stdout, talk on stderr."""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Callable
from contextlib import contextmanager
from typing import TYPE_CHECKING

import click

from outbox.pg.dsn import resolve_dsn
from relay.logs import log_to_stderr
from relay.pace import Pace
from relay.shell import EXIT_FAILED, EXIT_NOTHING, App, connected, require_known, say, with_dsn

if TYPE_CHECKING:
    from collections.abc import Iterator


_AGO = re.compile(r"^(\d+)([smhd])$")
_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}


@click.command(cls=App, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="agent-journal")
def main() -> None:
    """Deliver the outbox's messages, in order, and where the destination allows it exactly once."""


@main.command()
@click.argument("destination")
@click.option("--name", help="Identity of the destination; default: scheme:stream.")
@click.option(
    "--topic",
    "topics",
    multiple=True,
    metavar="PATTERN",
    help="Topics to deliver, * for any text; recorded at the first run.",
)
@click.option(
    "--from", "started_from", metavar="start|now|TIME", help="Where a new destination begins; default: start."
)
@click.option(
    "--on-refusal",
    type=click.Choice(["park", "dead-letter"]),
    help="What becomes of a message that DESTINATION refuses for good: parked with its key (default), or given up at once.",
)
@click.option("--drain", is_flag=True, help="Deliver everything committed before the call, then exit.")
@click.option(
    "--timeout",
    type=float,
    default=60.0,
    show_default=True,
    metavar="SECONDS",
    help="Give up a drain that makes no progress.",
)
@click.option(
    "--lease",
    type=click.FloatRange(min=1.0),
    default=Pace.lease,
    show_default=True,
    metavar="SECONDS",
    help="How long another relay waits before it takes over from one that died.",
)
@click.option(
    "--credentials", type=click.Path(exists=True, dir_okay=False), help="File with the destination's credentials."
)
@click.option(
    "--metrics",
    metavar="[HOST:]PORT",
    help="Serve /metrics (OpenMetrics) and /health over HTTP; on the loopback address unless HOST is given.",
)
@click.option(
    "--log-format", type=click.Choice(["text", "json"]), default="text", show_default=True, help="Lines on stderr."
)
@click.option("--verbose", is_flag=True, help="Log more.")
@with_dsn
def run(
    destination: str,
    name: str | None,
    topics: tuple[str, ...],
    started_from: str | None,
    on_refusal: str | None,
    dsn: str | None,
    credentials: str | None,
    timeout: float,
    lease: float,
    metrics: str | None,
    log_format: str,
    *,
    drain: bool,
    verbose: bool,
) -> int:
    """Deliver messages to DESTINATION: nats://host:4222/STREAM, redis://host:6379/0?stream=NAME,
    postgresql://host:5432/database?table=NAME, file:///path.jsonl or stdout:."""
    from relay.run import Options  # noqa: PLC0415  the loop is loaded by this command only
    from relay.run import run as run_relay  # noqa: PLC0415
    from relay.source import Registration  # noqa: PLC0415

    log_to_stderr(verbose=verbose, as_json=log_format == "json")
    tell = say if log_format == "text" else logging.getLogger("relay").info
    options = Options(
        dsn=resolve_dsn(dsn),
        url=destination,
        name=name,
        registration=Registration(list(topics) or None, _lanes_of(destination), _start(started_from), on_refusal),
        credentials=credentials,
        drain=drain,
        timeout=timeout,
        pace=Pace(lease=lease),
    )
    with _metrics(options.dsn, metrics, tell):
        drained = run_relay(options, tell)
    if drained is None:
        return EXIT_FAILED if drain else 0
    if drained.held:
        tell(f"{drained.held} held messages were not delivered")
    if drained.parked:
        tell(f"{drained.parked} messages are parked; see: relay parked")
    return EXIT_FAILED if drained.parked else 0


@contextmanager
def _metrics(dsn: str, address: str | None, tell: Callable[[str], None]) -> Iterator[None]:
    """Serve metrics while the block runs, if somebody asked for them."""
    if address is None:
        yield
        return
    from relay.metrics import serving  # noqa: PLC0415

    host, _, port = address.rpartition(":")
    if not port.isdigit():
        raise click.UsageError("--metrics takes a port, or host:port")
    try:
        with serving(dsn, host.strip("[]") or "127.0.0.1", int(port)) as chosen:
            tell(f"serving /metrics and /health on {host or '127.0.0.1'}:{chosen}")
            yield
    except OSError as error:
        raise click.UsageError(f"--metrics {address}: {error.strerror or error}") from error


@main.command()
@click.option("--check", is_flag=True, help="Exit 1 unless all is well.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object on stdout.")
@with_dsn
def status(dsn: str | None, *, check: bool, as_json: bool) -> int:
    """Show how each destination does, and what to do about it."""
    from relay.status import lines, read_status  # noqa: PLC0415

    with connected(dsn) as conn:
        found = read_status(conn)
    found["exit_code"] = EXIT_FAILED if check and not found["healthy"] else 0
    click.echo(json.dumps(found) if as_json else "\n".join(lines(found)))
    return int(found["exit_code"])


@main.command()
@click.argument("name", required=False)
@with_dsn
def pause(dsn: str | None, name: str | None) -> None:
    """Let the relays of a destination, or of all, finish what is on its way and wait."""
    _switch(dsn, "pause", name)


@main.command()
@click.argument("name", required=False)
@with_dsn
def resume(dsn: str | None, name: str | None) -> None:
    """Let a paused destination, or all, go on."""
    _switch(dsn, "resume", name)


@main.command()
@click.argument("name", required=False)
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
@with_dsn
def parked(dsn: str | None, name: str | None, *, as_json: bool) -> None:
    """List the messages that a destination, or any, refused for good, and how many wait behind each."""
    from relay.parked import lines, read_parked  # noqa: PLC0415

    with connected(dsn) as conn:
        require_known(conn, name)
        found = read_parked(conn, name)
    for line in map(json.dumps, found) if as_json else lines(found):
        click.echo(line)


@main.command()
@click.argument("name")
@click.option("--key", help="The parked message of this key, and what waits behind it.")
@click.option("--message", "message_id", metavar="ID", help="One parked message, and what waits behind it.")
@click.option("--all", "everything", is_flag=True, help="All parked messages of the destination.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object on stdout.")
@with_dsn
def retry(
    dsn: str | None, name: str, key: str | None, message_id: str | None, *, everything: bool, as_json: bool
) -> int:
    """Let destination NAME try parked messages again, with what waits behind them, in order."""
    if [key is not None, message_id is not None, everything].count(True) != 1:
        raise click.UsageError("say which: --key K, --message ID or --all")
    return _decide(dsn, name, "retry", key, message_id, None, as_json=as_json)


@main.command()
@click.argument("name")
@click.option("--message", "message_id", required=True, metavar="ID", help="The parked message.")
@click.option("--reason", required=True, help="Why; kept with the message.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object on stdout.")
@with_dsn
def discard(dsn: str | None, name: str, message_id: str, reason: str, *, as_json: bool) -> int:
    """Give a parked message up at destination NAME, and let what waits behind it go on."""
    return _decide(dsn, name, "discard", None, message_id, reason, as_json=as_json)


@main.command()
@click.argument("name", required=False)
@click.option("--accept-tail", is_flag=True, help="Leave at NAME what this database lost, and go on behind it.")
@click.option("--replay-lost", is_flag=True, help="Deliver again what NAME had acknowledged and lost.")
@click.option("--credentials", type=click.Path(exists=True, dir_okay=False), help="File with NAME's credentials.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object on stdout.")
@with_dsn
def rebase(
    dsn: str | None,
    name: str | None,
    credentials: str | None,
    *,
    accept_tail: bool,
    replay_lost: bool,
    as_json: bool,
) -> int:
    """Go on after a restore. Without NAME: let this database, which was restored or copied, seal again; make sure first that
    the original no longer publishes. With NAME: compare a destination with this database, and say what to decide."""
    import asyncio  # noqa: PLC0415

    from relay.rebase import rebase_database, rebase_destination  # noqa: PLC0415

    if name is None and (accept_tail or replay_lost or credentials):
        raise click.UsageError("--accept-tail, --replay-lost and --credentials need the NAME of a destination")
    where = resolve_dsn(dsn)
    if name is None:
        found = asyncio.run(rebase_database(where))
    else:
        work = rebase_destination(where, name, credentials, accept_tail=accept_tail, replay_lost=replay_lost)
        found = asyncio.run(work)
    code = EXIT_NOTHING if found.outcome == "nothing" else 0
    if as_json:
        report = {"schema": "relay.rebase/1", "outcome": found.outcome, "exit_code": code, "destination": name}
        counts = {"lost": list(found.lost), "lost_count": found.lost_count, "again": found.again}
        click.echo(json.dumps({**report, "seal": found.seal, **counts}))
    elif code:
        say(
            "nothing to decide: "
            + ("this database was not restored" if name is None else f"{name} is where it should be")
        )
    elif name is None:
        click.echo(f"sealing goes on in a new lineage, from seal {found.seal}")
    else:
        click.echo(f"{name}: {found.lost_count:,} messages left there, {found.again:,} delivered again")
    return code


@main.command()
@click.argument("name")
@click.option("--from", "started_from", required=True, metavar="TIME", help="Messages sealed at this time or later.")
@click.option("--to", "ends_at", metavar="TIME", help="Messages sealed up to this time; default: now.")
@click.option("--into", required=True, metavar="DESTINATION", help="Where to: another stream, table or file.")
@click.option("--as", "new_name", metavar="NEW", help="Name of the new destination; default: scheme:stream.")
@click.option("--credentials", type=click.Path(exists=True, dir_okay=False), help="File with its credentials.")
@click.option("--timeout", type=float, default=60.0, show_default=True, help="Give up without progress.")
@with_dsn
def replay(
    dsn: str | None,
    name: str,
    started_from: str,
    ends_at: str | None,
    into: str,
    new_name: str | None,
    credentials: str | None,
    timeout: float,
) -> int:
    """Deliver what destination NAME was given in a span of time once more, to a new destination: its positions begin at 1."""
    from datetime import UTC, datetime  # noqa: PLC0415

    from relay.run import Options  # noqa: PLC0415
    from relay.run import run as run_relay  # noqa: PLC0415
    from relay.source import Registration  # noqa: PLC0415

    with connected(dsn) as conn:
        require_known(conn, name)
        row = conn.execute("select topics from relay.destinations where destination = %s", [name]).fetchone()
    log_to_stderr(verbose=False, as_json=False)
    options = Options(
        dsn=resolve_dsn(dsn),
        url=into,
        name=new_name,
        registration=Registration(row and row[0], _lanes_of(into), _start(started_from)),
        credentials=credentials,
        drain=True,
        timeout=timeout,
        replay_to=_start(ends_at) or datetime.now(UTC).isoformat(),
    )
    drained = run_relay(options, say)
    return EXIT_FAILED if drained is None or drained.parked else 0


def _decide(
    dsn: str | None,
    name: str,
    verb: str,
    key: str | None,
    message_id: str | None,
    reason: str | None,
    *,
    as_json: bool,
) -> int:
    from relay.parked import decide, full_id  # noqa: PLC0415

    with connected(dsn) as conn:
        require_known(conn, name)
        whole = None if message_id is None else full_id(conn, name, message_id)
        done = decide(conn, name, key=key, message_id=whole, discard_reason=reason)
    nothing = done.parked == 0
    code = EXIT_NOTHING if nothing else 0
    if as_json:
        report = {"schema": f"relay.{verb}/1", "outcome": "nothing" if nothing else "done", "exit_code": code}
        click.echo(json.dumps({**report, "destination": name, "parked": done.parked, "messages": done.messages}))
    elif nothing:
        say(f"nothing is parked there; see: relay parked {name}")
    else:
        left = "given up" if reason is not None else "no longer parked"
        click.echo(f"{done.parked} messages {left}, {done.messages} are delivered next")
    return code


def _switch(dsn: str | None, function: str, name: str | None) -> None:
    with connected(dsn) as conn:
        require_known(conn, name)
        row = conn.execute(
            "select relay.pause(%s)" if function == "pause" else "select relay.resume(%s)", [name]
        ).fetchone()
    changed = row[0] if row else []
    for one in changed:
        click.echo(one)
    if not changed:
        say(f"nothing to {function}")


def _start(text: str | None) -> str | None:
    """`start`, `now`, a time in ISO 8601, or how long ago: 90m, 2h, 3d."""
    from datetime import UTC, datetime, timedelta  # noqa: PLC0415

    if text is None or text in {"start", "now"}:
        return text
    if (ago := _AGO.match(text)) is not None:
        return (datetime.now(UTC) - timedelta(seconds=int(ago[1]) * _UNITS[ago[2]])).isoformat()
    try:
        return datetime.fromisoformat(text).astimezone().isoformat()
    except ValueError as error:
        raise click.UsageError(
            "a time is 2026-11-22T03:04:05Z, or how long ago, such as 90m; --from also takes start and now"
        ) from error


def _lanes_of(url: str) -> int | None:
    """Lanes are part of the URL, since each is a stream of its own."""
    from urllib.parse import parse_qs, urlsplit  # noqa: PLC0415

    lanes = parse_qs(urlsplit(url).query).get("lanes", [""])[0]
    return int(lanes) if lanes.isdigit() else None
