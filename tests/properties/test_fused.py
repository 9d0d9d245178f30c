"""Many conditions evaluated together say what each says alone."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from liftgate.bundle import conditions_fused
from liftgate.bundle.conditions_fused import FusedConditions
from tests.properties.expressions import Tree, people, truths
from tests.properties.test_conditions import columns, compiled


@settings(max_examples=150, deadline=None)
@given(st.lists(truths(3), min_size=1, max_size=12), people(holes=True))
def test_together_is_each_alone(trees: list[Tree], group: list[dict[str, Any]]) -> None:
    """For generated conditions and people with holes, true and unknown are the same, condition by condition and person by person."""
    conditions = [compiled(tree) for tree in trees]
    inputs, now_ms = columns(group)
    true, unknown = FusedConditions(conditions).evaluate(inputs, now_ms)
    for r, condition in enumerate(conditions):
        alone_true, alone_unknown = condition.evaluate(inputs, now_ms)
        assert true[r].tolist() == alone_true.tolist()
        assert unknown[r].tolist() == alone_unknown.tolist()


@settings(max_examples=20, deadline=None)
@given(st.lists(truths(2), min_size=2, max_size=6), people(holes=True))
def test_a_large_batch_is_its_chunks(trees: list[Tree], group: list[dict[str, Any]]) -> None:
    """A batch of more rows than are evaluated at once gives every row what it gets alone."""
    fused = FusedConditions([compiled(tree) for tree in trees])
    inputs, now_ms = columns(group)
    times = conditions_fused._CHUNK // len(group) + 2
    true, unknown = fused.evaluate(np.tile(inputs, (times, 1)), np.tile(now_ms, times))
    one_true, one_unknown = fused.evaluate(inputs, now_ms)
    assert np.array_equal(true, np.tile(one_true, times))
    assert np.array_equal(unknown, np.tile(one_unknown, times))
