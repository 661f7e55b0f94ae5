"""What a monitoring system asks for: OpenMetrics text and a health answer over HTTP, made of `relay status` at each request."""

from __future__ import annotations

import json
import logging
from contextlib import contextmanager
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import TYPE_CHECKING, Any

import psycopg

from relay.errors import RelayError
from relay.faults import translated
from relay.status import read_status

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_log = logging.getLogger("relay.metrics")
_OPENMETRICS = "application/openmetrics-text; version=1.0.0; charset=utf-8"
_STATES = ("running", "paused", "stopped", "failing")


def metrics(status: Mapping[str, Any]) -> str:
    """The status as OpenMetrics text. All are gauges: counters would begin anew with every relay process."""
    destinations = status["destinations"]
    lanes = [
        ({"destination": one["destination"], "lane": lane["lane"]}, lane)
        for one in destinations
        for lane in one["lanes"]
    ]
    named = [({"destination": one["destination"]}, one) for one in destinations]
    families: list[tuple[str, str, list[tuple[Mapping[str, Any], float]]]] = [
        ("unsealed_messages", "Messages that are committed and not sealed.", [({}, status["unsealed"]["messages"])]),
        ("unsealed_age_seconds", "Age of the oldest of them.", [({}, status["unsealed"]["age_seconds"])]),
        ("held_messages", "Messages that wait for their hold.", [({}, status["held"]["messages"])]),
        (
            "destination_status",
            "1 for the status that the destination has.",
            [({**labels, "status": s}, float(one["status"] == s)) for labels, one in named for s in _STATES],
        ),
        ("parked_messages", "Refused messages whose keys wait.", [(labels, one["parked"]) for labels, one in named]),
        (
            "waiting_behind_parked_messages",
            "Messages that wait behind them.",
            [(labels, one["waiting_behind_parked"]) for labels, one in named],
        ),
        (
            "lane_position",
            "Position of the last message stored.",
            [(labels, lane["position"]) for labels, lane in lanes],
        ),
        (
            "lane_behind_messages",
            "Messages sealed and not stored.",
            [(labels, lane["behind"]) for labels, lane in lanes],
        ),
        (
            "lane_lag_seconds",
            "How long the oldest has waited.",
            [(labels, lane["lag_seconds"]) for labels, lane in lanes],
        ),
        (
            "lane_in_doubt",
            "1 while an outcome is unknown.",
            [(labels, float(lane["in_doubt"])) for labels, lane in lanes],
        ),
        ("lane_epoch", "How often the lane changed hands.", [(labels, lane["epoch"]) for labels, lane in lanes]),
        (
            "lane_leaderless_seconds",
            "How long ago the last lease ran out; 0 while a relay serves the lane.",
            [(labels, _leaderless(lane["lease_until"])) for labels, lane in lanes if lane["lease_until"]],
        ),
    ]
    return "".join(_family(*family) for family in families) + "# EOF\n"


def _family(name: str, what: str, samples: list[tuple[Mapping[str, Any], float]]) -> str:
    lines = [f"# TYPE relay_{name} gauge", f"# HELP relay_{name} {what}"]
    lines += [f"relay_{name}{_labels(labels)} {value}" for labels, value in samples]
    return "\n".join(lines) + "\n"


def _labels(labels: Mapping[str, Any]) -> str:
    pairs = [f'{name}="{_escaped(str(value))}"' for name, value in labels.items()]
    return f"{{{','.join(pairs)}}}" if pairs else ""


def _escaped(text: str) -> str:
    return text.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")


def _leaderless(lease_until: str) -> float:
    return max((datetime.now(UTC) - datetime.fromisoformat(lease_until)).total_seconds(), 0.0)


@contextmanager
def serving(dsn: str, host: str, port: int) -> Iterator[int]:
    """Serve /metrics and /health in a thread until the block ends; the port (0 chooses one). Raises OSError."""

    class Handler(BaseHTTPRequestHandler):
        timeout = 10

        def do_GET(self) -> None:
            answer = {"/metrics": _metrics_page, "/health": _health_page}.get(self.path.partition("?")[0])
            code, kind, body = answer(dsn) if answer else (404, "text/plain", "see /metrics and /health\n")
            data = body.encode()
            self.send_response(code)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, format: str, *arguments: Any) -> None:  # noqa: A002  the name of the base class
            _log.debug(format, *arguments)

    server = ThreadingHTTPServer((host, port), Handler)
    server.daemon_threads = True
    thread = Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield int(server.server_address[1])
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def _metrics_page(dsn: str) -> tuple[int, str, str]:
    try:
        return 200, _OPENMETRICS, metrics(_status(dsn))
    except RelayError as error:
        return 503, "text/plain; charset=utf-8", f"{error}\n"


def _health_page(dsn: str) -> tuple[int, str, str]:
    """200 while `relay status --check` would exit 0, else 503; either way with the findings."""
    try:
        status = _status(dsn)
    except RelayError as error:
        found = {"healthy": False, "findings": [{"level": "error", "what": str(error), "fix": error.hint}]}
    else:
        found = {"healthy": status["healthy"], "findings": status["findings"]}
    return 200 if found["healthy"] else 503, "application/json", json.dumps(found) + "\n"


def _status(dsn: str) -> dict[str, Any]:
    with (
        translated(),
        psycopg.connect(dsn, autocommit=True, connect_timeout=5, application_name="relay metrics") as conn,
    ):
        conn.execute("set statement_timeout = '10s'")
        return read_status(conn)
