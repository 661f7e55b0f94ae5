"""How the relays do, from the public views: as one JSON object (relay.status/1) and as lines for a person."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, LiteralString

from psycopg.rows import dict_row

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    import psycopg

Row = dict[str, Any]

# What is worth an alarm: a lane that nobody serves although messages wait, and messages that nobody seals.
UNSEALED_SECONDS = 60
# Nothing unread is ever dropped, so a destination that stands still lets the outbox grow: said at half the time that messages are
# kept (relay.keep()).
STALLED_SECONDS = 3.5 * 86400


def read_status(conn: psycopg.Connection[Any]) -> dict[str, Any]:
    """The state of sealing and of each destination; `healthy` is false when a finding is an error."""
    backlog = _rows(
        conn, "select topic, status, messages, extract(epoch from age)::float8 as seconds from outbox.backlog"
    )
    lanes = _rows(
        conn, "select *, extract(epoch from lag)::float8 as seconds from relay.lag order by destination, lane"
    )
    parked = _rows(
        conn,
        "select destination, count(*) as messages, coalesce(sum(waiting), 0)::bigint as waiting"
        " from relay.parked where disposition = 'parked' group by destination",
    )
    destinations = [
        _destination(row, [lane for lane in lanes if lane["destination"] == row["destination"]], parked)
        for row in _rows(conn, "select * from relay.destinations order by destination")
    ]
    unsealed, held = _unsealed(backlog), _held(backlog)
    findings = [*_sealing_findings(unsealed), *(found for one in destinations for found in _findings(one))]
    return {
        "schema": "relay.status/1",
        "outcome": "done",
        "exit_code": 0,
        "healthy": not any(found["level"] == "error" for found in findings),
        "lineage": next((one.pop("lineage") for one in destinations if one["lineage"]), None),
        "unsealed": unsealed,
        "held": held,
        "destinations": [{name: value for name, value in one.items() if name not in _PRIVATE} for one in destinations],
        "findings": findings,
    }


_PRIVATE = frozenset({"lineage", "status_reason"})


def lines(status: Mapping[str, Any]) -> Iterator[str]:
    """The status for a person, most important first."""
    for found in status["findings"]:
        yield f"{found['level']}: {found['what']}"
        yield f"  {found['fix']}"
    if not status["destinations"]:
        yield "no destination yet; start one with: relay run nats://host:4222/STREAM"
    for one in status["destinations"]:
        yield f"{one['destination']}  {one['status']}  guarantee {one['guarantee']}  topics {' '.join(one['topics'])}"
        yield f"  {one['url']}  last append {one['last_append_at'] or 'never'}"
        if one["parked"]:
            yield f"  parked: {one['parked']:,}, and {one['waiting_behind_parked']:,} wait behind them"
        for lane in one["lanes"]:
            yield (
                f"  lane {lane['lane']}: position {lane['position']:,}, {lane['behind']:,} behind"
                f" ({lane['lag_seconds']:.1f} s), held by {lane['leaseholder'] or 'nobody'}"
                + (", outcome of the last append unknown" if lane["in_doubt"] else "")
            )
    unsealed, held = status["unsealed"], status["held"]
    age = f" ({unsealed['age_seconds']:.1f} s)" if unsealed["messages"] else ""
    yield f"not sealed yet: {unsealed['messages']:,}{age}; held: {held['messages']:,}"


def _rows(conn: psycopg.Connection[Any], query: LiteralString) -> list[Row]:
    with conn.cursor(row_factory=dict_row) as cursor:
        return cursor.execute(query).fetchall()


def _unsealed(backlog: Sequence[Row]) -> Row:
    waiting = [row for row in backlog if row["status"] == "pending"]
    return {
        "messages": sum(row["messages"] for row in waiting),
        "age_seconds": max((row["seconds"] for row in waiting), default=0.0),
    }


def _held(backlog: Sequence[Row]) -> Row:
    held = [row for row in backlog if row["status"] == "held"]
    return {"messages": sum(row["messages"] for row in held), "topics": sorted(row["topic"] for row in held)}


def _destination(row: Row, lanes: Sequence[Row], parked: Sequence[Row]) -> Row:
    refused = next((one for one in parked if one["destination"] == row["destination"]), {"messages": 0, "waiting": 0})
    return {
        "destination": row["destination"],
        "url": row["url"],
        "guarantee": row["guarantee"],
        "status": row["status"],
        "status_reason": row["status_reason"],
        "topics": row["topics"],
        "lineage": row["lineage"] and str(row["lineage"]),
        "behind": sum(lane["behind"] for lane in lanes),
        "lag_seconds": max((lane["seconds"] for lane in lanes), default=0.0),
        "parked": refused["messages"],
        "waiting_behind_parked": refused["waiting"],
        "last_append_at": _utc(row["last_append_at"]),
        "last_error": row["last_error"],
        "lanes": [_lane(lane) for lane in lanes],
    }


def _lane(lane: Row) -> Row:
    return {
        "lane": lane["lane"],
        "position": lane["position"],
        "sealed_position": lane["sealed_position"],
        "behind": lane["behind"],
        "lag_seconds": lane["seconds"],
        "leaseholder": lane["leaseholder"],
        "lease_until": _utc(lane["lease_until"]),
        "epoch": lane["epoch"],
        "in_doubt": lane["in_doubt"],
    }


def _utc(moment: datetime | None) -> str | None:
    return None if moment is None else moment.astimezone(UTC).isoformat().replace("+00:00", "Z")


def _sealing_findings(unsealed: Row) -> Iterator[Row]:
    if unsealed["age_seconds"] > UNSEALED_SECONDS:
        age = timedelta(seconds=round(unsealed["age_seconds"]))
        yield _finding(
            "error", f"messages have not been sealed for {age}", "start a relay of any destination: relay run …"
        )


def _findings(one: Row) -> Iterator[Row]:
    """What a person should do about one destination."""
    run = f"relay run {one['url']} --name {one['destination']}"
    name = one["destination"]
    if one["status"] == "paused":
        yield _finding("warning", f"{name} is paused", f"relay resume {name}")
    elif one["status"] == "stopped" and one["last_error"] and one["status_reason"] == one["last_error"]:
        yield _finding("error", f"{name} stopped: {one['last_error']}", f"mend that, then: {run}")
    elif one["status"] == "failing":
        yield _finding("error", f"{name} fails: {one['last_error']}", "the relay retries; look at the destination")
    for lane in one["lanes"]:
        if lane["behind"] and _expired(lane["lease_until"]) and one["status"] != "paused":
            what = f"{name}: lane {lane['lane']} has no relay, and {lane['behind']:,} messages wait"
            yield _finding("error", what, run)
    if one["lag_seconds"] > STALLED_SECONDS:
        age = timedelta(seconds=round(one["lag_seconds"]))
        what = f"{name} has not taken anything for {age}: all messages since are kept for it, and the outbox grows"
        yield _finding("error", what, run)
    if one["parked"]:
        yield _finding("error", f"{name}: {one['parked']} messages are parked", f"relay parked {name}")


def _expired(lease_until: str | None) -> bool:
    return lease_until is None or datetime.fromisoformat(lease_until) < datetime.now(UTC)


def _finding(level: str, what: str, fix: str) -> Row:
    return {"level": level, "what": what, "fix": fix}
