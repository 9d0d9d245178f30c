"""Slates of offers that exclude one another: exact probabilities against brute force on small catalogs."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from liftgate.domain.policy import Policy
from liftgate.pipeline.cap_plan import CapPlan
from liftgate.selection.slate import Slates
from tests.properties.test_shadow import load
from tests.selection.drawing import slates_of

OFFERS = ("a", "b", "c", "d")
SLOTS = 3
members = st.sampled_from([("a", "b"), ("a", "b", "c"), ("b", "d"), ("c", "d"), ("a", "d")])


def plan(exclusions: list[tuple[str, ...]], values: list[float]) -> CapPlan:
    """Return the compiled counters of a bundle of four offers with these exclusions."""
    bundle = load(
        {
            "bundle": "slates",
            "currency": "EUR",
            "time_zone": "UTC",
            "profile_purpose": "none",
            "offers": {name: {"value": value} for name, value in zip(OFFERS, values, strict=True)},
            "placements": {"p": {"offers": "all", "slots": SLOTS, "select": {"policy": "epsilon_greedy", "epsilon": 0.1}}},
            "exclusions": {f"x{i}": {"offers": list(names), "within": "7d"} for i, names in enumerate(exclusions)},
        }
    )
    return CapPlan(bundle)


def vector(values: list[float], open_: set[int], epsilon: float) -> list[float]:
    """Return epsilon-greedy over the offers that are open, as its definition reads."""
    if not open_:
        return [0.0] * len(values)
    best = max(values[k] for k in open_)
    top = [k for k in open_ if values[k] == best]
    return [(epsilon / len(open_) if k in open_ else 0.0) + ((1 - epsilon) / len(top) if k in top else 0.0) for k in range(len(values))]


def brute_force(values: list[float], excluded: list[set[int]], epsilon: float) -> dict[tuple[int, ...], float]:
    """Return the probability of every slate, walking the whole tree."""
    found: dict[tuple[int, ...], float] = {}

    def walk(chosen: tuple[int, ...], open_: set[int], chance: float) -> None:
        if len(chosen) == SLOTS or not open_:
            found[chosen] = found.get(chosen, 0.0) + chance
            return
        for k, p in enumerate(vector(values, open_, epsilon)):
            if p:
                walk((*chosen, k), open_ - {k} - excluded[k], chance * p)

    walk((), set(range(len(values))), 1.0)
    return found


def drawn(counters: CapPlan, values: list[float], epsilon: float, grid: int) -> Slates:
    """Return the slates of a fine grid of draws."""
    points = (np.arange(grid) + 0.5) / grid
    draws = np.array(list(product(points, repeat=SLOTS)))
    limits = [cap.limit for cap in counters.caps], counters.spends, counters.holds
    return slates_of(values, Policy("epsilon_greedy", epsilon=epsilon), draws, limits=limits)


@settings(max_examples=25, deadline=None)
@given(
    st.lists(members, min_size=1, max_size=2, unique=True),
    st.lists(st.sampled_from([1.0, 2.0, 3.0]), min_size=4, max_size=4),
    st.sampled_from([0.3, 1.0]),
)
def test_slates_equal_brute_force(exclusions: list[tuple[str, ...]], values: list[float], epsilon: float) -> None:
    """Every slate's probability is the product of the logged vectors, equals brute force to rounding, and no slate holds two that exclude
    one another."""
    excluded: list[set[int]] = [set() for _ in OFFERS]
    for names in exclusions:
        for name in names:
            excluded[OFFERS.index(name)] |= {OFFERS.index(other) for other in names if other != name}
    slates = drawn(plan(exclusions, values), values, epsilon, 14)
    wanted = brute_force(values, excluded, epsilon)
    logged: dict[tuple[int, ...], float] = {}
    for row in range(len(slates.choice)):
        slate = tuple(int(k) for k in slates.choice[row] if k >= 0)
        chances = [slates.probability[slot, row, k] for slot, k in enumerate(slate)]
        logged[slate] = float(np.prod(chances))
        assert all(other not in excluded[k] for k in slate for other in slate)
    for slate, chance in logged.items():
        assert chance == pytest.approx(wanted[slate], abs=1e-12)
    # The grid is fine enough to meet every slate that is not very rare.
    assert {slate for slate, chance in wanted.items() if chance > 0.02} <= set(logged)


def test_without_exclusions_the_same_slates_would_hold_both() -> None:
    """The control: with no exclusion the two best offers stand in one slate."""
    values = [3.0, 2.0, 1.0, 1.0]
    free = drawn(plan([("c", "d")], values), values, 0.0, 3)
    held = drawn(plan([("a", "b")], values), values, 0.0, 3)
    assert free.choice[:, :2].tolist() == [[0, 1]] * len(free.choice)
    assert not (held.choice == 1).any()
