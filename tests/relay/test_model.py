"""The model of the relay holds in every state that it can reach, and each of its rules is needed."""

from __future__ import annotations

import pytest

from tests.relay.model import Rules, Violation, explore


def test_no_state_of_the_model_repeats_loses_or_reorders() -> None:
    assert explore(Rules()) > 20_000


@pytest.mark.parametrize(
    ("mutant", "wrong"),
    [
        (Rules(conditional=False), "twice|out of order|neither"),
        (Rules(reads_back=False), "twice|out of order|missing|neither"),
        (Rules(one_in_flight=False), "twice|out of order|neither"),
        (Rules(key_waits=False), "out of order"),
        (Rules(retry_fences=False), "twice|out of order|neither"),
    ],
    ids=["unconditional append", "no reading back", "two in flight", "parked alone", "retry without a fence"],
)
def test_every_rule_is_needed(mutant: Rules, wrong: str) -> None:
    with pytest.raises(Violation, match=wrong):
        explore(mutant)
