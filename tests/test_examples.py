"""The stories in examples/ end as they promise."""

from __future__ import annotations

import pytest

from examples import email_sent_twice, refund_never_submitted, step_7_of_14


def test_the_refund_that_was_never_submitted(dsn: str, capsys: pytest.CaptureFixture[str]) -> None:
    refund_never_submitted.main(dsn)
    assert capsys.readouterr().out.splitlines() == [
        "[held back, unbacked] Your refund was submitted.",
        "[held back, unbacked] Your refund was submitted.",
        "Your refund was submitted.",
        "[held back, contradicted] As I said, your refund was submitted.",
    ]


def test_the_email_sent_twice(dsn: str, capsys: pytest.CaptureFixture[str]) -> None:
    email_sent_twice.main(dsn)
    assert capsys.readouterr().out.splitlines()[2:] == [
        "replayed: True",
        "emails: 1",
        "1 of the calls: completed",
        "2 of the calls: replayed",
    ]


def test_step_7_of_14_that_crashed(dsn: str, capsys: pytest.CaptureFixture[str]) -> None:
    step_7_of_14.main(dsn)
    printed = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in printed[:7]] == ["done"] * 6 + ["stopped:"]
    assert [line.split()[0] for line in printed[7:14]] == ["was"] * 6 + ["stopped:"]
    assert printed[14:17] == ["done: 6 of 14", "needs a person: 1 of 14 (move the deposit)", "safe to run: 7 of 14"]
    assert [line.split()[0] for line in printed[17:31]] == ["was"] * 7 + ["done"] * 7
    assert printed[31:] == ["done: 14 of 14", "needs a person: 0 of 14", "safe to run: 0 of 14", "transfers: 1"]
