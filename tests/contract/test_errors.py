"""The tree of errors, as programs of others catch it."""

from __future__ import annotations

import pytest

import journal

TREE = {
    "JournalError": """SchemaVersionError ConnectionUseError SessionError StepError WriteRefused CoverageError RollbackError
        ProofError""",
    "ConnectionUseError": "UnsupportedConnection TransactionOpen TransactionRequired AlreadyBound ConcurrentStep",
    "SessionError": "UnknownSession SessionClosed SessionStopped NotSessionOwner",
    "StepError": """InvalidKey ArgumentsDiffer StepInProgress StepReversed StepFailed ReplayedStepWrites NotSerializable
        OutcomeUnknown""",
    "WriteRefused": "UnboundWrite CaptureFailed",
    "CoverageError": "NotCoverable StaleCoverage CoverageGap",
    "RollbackError": "RollbackConflict RollbackRefused PlanChanged RollbackBusy TooManyRows",
    "ProofError": "UnknownReceipt UnknownKind",
}
ATTRIBUTES = {
    "SchemaVersionError": "found expected",
    "StepError": "tool key",
    "ArgumentsDiffer": "tool key differences",
    "StepInProgress": "tool key retry_after",
    "StepReversed": "tool key rollback_id next_attempt",
    "StepFailed": "tool key result",
    "NotSerializable": "tool key path",
    "WriteRefused": "table",
    "NotCoverable": "reason",
    "RollbackError": "plan",
    "RollbackConflict": "plan conflicts",
    "RollbackRefused": "plan reasons",
    "RollbackBusy": "plan blockers",
    "TooManyRows": "plan rows max_rows",
}
RETRYABLE = {"StepInProgress", "OutcomeUnknown", "RollbackBusy"}
EXIT_CODES = {"RollbackConflict": 3, "RollbackRefused": 3, "PlanChanged": 6, "RollbackBusy": 6, "TooManyRows": 2}
TYPE_ERRORS = {"UnsupportedConnection", "NotSerializable"}


@pytest.mark.parametrize("above", TREE)
def test_the_tree(above: str) -> None:
    below = {
        name for name in journal.__all__ if getattr(journal, above) in getattr(getattr(journal, name), "__bases__", ())
    }
    assert below == set(TREE[above].split())


def test_sqlstates_are_numbered_in_the_order_of_the_tree() -> None:
    def in_order(name: str) -> list[str]:
        return [name, *(deeper for below in TREE.get(name, "").split() for deeper in in_order(below))]

    states = [getattr(journal, name).sqlstate for name in in_order("JournalError")]
    assert states == sorted(states)


def test_what_each_error_has() -> None:
    for name in {name for below in TREE.values() for name in below.split()}:
        error = getattr(journal, name)
        raised = error(message="no") if name == "StepFailed" else error("no")
        assert raised.hint is None
        assert raised.retryable is (name in RETRYABLE)
        assert raised.exit_code == EXIT_CODES.get(name, raised.exit_code)
        assert isinstance(raised, TypeError) is (name in TYPE_ERRORS)
        for attribute in ATTRIBUTES.get(name, "").split():
            assert getattr(raised, attribute) is None
