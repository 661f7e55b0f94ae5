"""The demo keeps its promise, and says so in a way that machines can read."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.timeout(180)
def test_every_proof_holds() -> None:
    program = str(Path(sys.executable).with_name("journal"))
    done = subprocess.run([program, "demo", "--json"], capture_output=True, text=True, check=False, timeout=170)
    assert done.returncode == 0, done.stderr + done.stdout
    report = json.loads(done.stdout)
    assert (report["schema"], report["outcome"], report["exit_code"]) == ("journal.demo/1", "done", 0)
    assert {proof["name"]: proof["holds"] for proof in report["proofs"]} == dict.fromkeys(
        (
            "prices_are_back",
            "customers_are_back",
            "everything_is_accounted_for",
            "edits_survive",
            "broker_holds_the_outbox",
            "keys_keep_their_order",
            "refunds_happened_once",
            "the_report_adds_up",
        ),
        True,
    )
    assert report["rollback"]["outcome"] == "partly"
    assert report["rollback"]["rows"]["conflict"] == 1
