"""Policies in words, as `liftgate bundle explain` says them."""

from __future__ import annotations

from typing import Any

import pytest

from liftgate.app.cli.policy_words import policy_words
from liftgate.bundle.schema_select import Select

WORDS = [
    ({"policy": "greedy"}, "the allowed offer that is worth most"),
    ({"policy": "greedy", "floor": 0.01}, "worth most; each allowed offer in 1.00% of cases at least, to learn"),
    ({"policy": "epsilon_greedy", "epsilon": 0.1}, "in 90% of cases; in 10% one of the allowed at random"),
    ({"policy": "softmax", "temperature": 0.2}, "e times as often for every 0.2 EUR more"),
    ({"policy": "softmax", "temperature": 0.2, "temperature_unit": "best"}, "for every 0.2 times what the best is worth more"),
    (
        {"policy": "thompson", "floor": 0.01, "evidence": 50},
        "as often as it may be the one worth most, if propensities are known from their offers' trials, or 50",
    ),
    ({"policy": "thompson", "floor": 0.01}, "known from their offers' trials, or 100"),
    ({"policy": "uniform"}, "all as often"),
    ({"policy": "fixed", "weights": {"a": 2, "b": 1}}, "by declared weights, whoever the person is: a 2, b 1"),
]


@pytest.mark.parametrize(("select", "words"), WORDS)
def test_each_policy_has_its_sentence(select: dict[str, Any], words: str) -> None:
    """What a policy does is said with its numbers and their unit."""
    assert words in policy_words(Select.model_validate(select), "EUR")
