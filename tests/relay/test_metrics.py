"""What monitoring sees: OpenMetrics, health, and logs that machines read."""

from __future__ import annotations

import json
import re
import signal
from http.client import HTTPConnection
from typing import TYPE_CHECKING, Any

from relay.metrics import metrics
from tests.outbox.support import publish
from tests.relay.support import Connection, RelayProcess, drain, relay, wait_until

if TYPE_CHECKING:
    from pathlib import Path

SAMPLE = re.compile(r'^[a-z_]+(\{[a-z_]+="(\\.|[^"\\])*"(,[a-z_]+="(\\.|[^"\\])*")*\})? -?[0-9.e+-]+$')


def fetch(port: int, path: str) -> tuple[int, str, str]:
    connection = HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        return answer.status, answer.getheader("Content-Type") or "", answer.read().decode()
    finally:
        connection.close()


def test_metrics_and_health_are_served_on_the_loopback_address(dsn: str, conn: Connection, tmp_path: Path) -> None:
    url = f"file://{tmp_path}/out"
    with RelayProcess(dsn, "run", url, "--metrics", "0") as process:
        process.wait_until_said("serving /metrics and /health on 127.0.0.1:")
        found = re.search(r"127\.0\.0\.1:(\d+)", process.said())
        assert found is not None
        port = int(found[1])
        process.wait_until_said("guarantee A")
        publish(conn)
        wait_until(lambda: (tmp_path / "out").exists() and (tmp_path / "out").stat().st_size > 0)
        wait_until(
            lambda: (
                f'relay_lane_position{{destination="file:{tmp_path}/out",lane="0"}} 1\n' in fetch(port, "/metrics")[2]
            )
        )
        code, kind, text = fetch(port, "/metrics")
        assert (code, kind.partition(";")[0]) == (200, "application/openmetrics-text")
        lines = text.splitlines()
        assert lines[-1] == "# EOF"
        assert all(SAMPLE.match(line) for line in lines if not line.startswith("# "))
        assert fetch(port, "/health")[0] == 200
        conn.execute("update relay.destination set last_error = 'x', last_error_at = clock_timestamp()")
        code, _, text = fetch(port, "/health")
        assert (code, json.loads(text)["healthy"]) == (503, False)
        assert fetch(port, "/")[0] == 404
        process.signal(signal.SIGTERM)
        assert process.wait() == 0


def test_names_in_labels_are_escaped() -> None:
    lane: dict[str, Any] = {
        "lane": 0,
        "position": 1,
        "behind": 0,
        "lag_seconds": 0,
        "in_doubt": False,
        "epoch": 1,
        "lease_until": None,
    }
    one = {"destination": 'a"\\\n', "status": "running", "parked": 0, "waiting_behind_parked": 0, "lanes": [lane]}
    text = metrics({"unsealed": {"messages": 0, "age_seconds": 0}, "held": {"messages": 0}, "destinations": [one]})
    assert r'relay_lane_epoch{destination="a\"\\\n",lane="0"} 1' in text
    assert all(SAMPLE.match(line) for line in text.splitlines() if not line.startswith("# "))


def test_logs_as_json_are_one_object_a_line(dsn: str, conn: Connection, tmp_path: Path) -> None:
    publish(conn)
    said = drain(dsn, f"file://{tmp_path}/out", "--log-format", "json")
    lines = [json.loads(line) for line in said.splitlines()]
    assert all(line.keys() >= {"time", "level", "logger", "message"} for line in lines)
    assert any("guarantee A" in line["message"] for line in lines)


def test_an_address_that_is_no_address_is_a_usage_error(dsn: str) -> None:
    assert relay(dsn, "run", "stdout:", "--drain", "--metrics", "http")[0] == 2
