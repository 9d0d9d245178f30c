"""Probability vectors, draws and slates."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from liftgate.domain.bucketing import Salt
from liftgate.domain.policy import Policy
from liftgate.selection.draw import draw
from liftgate.selection.epsilon_greedy import epsilon_greedy
from liftgate.selection.policy import Policies, Worth
from liftgate.selection.slate import fill
from tests.selection.drawing import slates_of

OFFERS = 5


@st.composite
def situations(draw_from: st.DrawFn) -> tuple[np.ndarray, np.ndarray, float]:
    """One person's expected values (ties likely), allowed set and epsilon."""
    expected = draw_from(st.lists(st.sampled_from([0.5, 1.0, 1.5, 2.0]), min_size=OFFERS, max_size=OFFERS))
    allowed = draw_from(st.lists(st.booleans(), min_size=OFFERS, max_size=OFFERS))
    epsilon = draw_from(st.sampled_from([0.0, 0.05, 0.3, 1.0]))
    return np.array([expected]), np.array([allowed]), epsilon


@given(situations())
def test_vector_sums_to_one_over_the_allowed_set(situation: tuple[np.ndarray, np.ndarray, float]) -> None:
    """A vector sums to 1 where anything is allowed, to 0 where nothing is, and is 0 on what is not allowed."""
    expected, allowed, epsilon = situation
    explore, exploit = epsilon_greedy(expected, allowed, np.array([epsilon]))
    vector = explore + exploit
    assert vector.sum() == pytest.approx(1.0 if allowed.any() else 0.0)
    assert (vector[~allowed] == 0).all()
    assert (vector >= 0).all()


def test_ties_share_the_exploit_mass() -> None:
    """Two offers of equal expected value are exploited equally often."""
    explore, exploit = epsilon_greedy(np.array([[2.0, 2.0, 1.0]]), np.ones((1, 3), dtype=bool), np.array([0.3]))
    assert exploit[0] == pytest.approx([0.35, 0.35, 0.0])
    assert explore[0] == pytest.approx([0.1, 0.1, 0.1])


@pytest.mark.parametrize("fixture", range(8))
def test_frequency_meets_the_logged_vector(fixture: int) -> None:
    """Over 100,000 hashed draws the chosen offers are distributed as the vector says (chi-square, alpha 1e-4 / 8)."""
    generator = np.random.default_rng(fixture)
    n = 100_000
    expected = np.tile(generator.integers(1, 4, OFFERS).astype(float), (n, 1))
    allowed = np.tile(generator.random(OFFERS) < 0.8, (n, 1))
    allowed[:, 0] = True
    salt = Salt("select", "fixture", str(fixture))
    u = np.array([salt.uniform(f"request-{i}") for i in range(n)])
    explore, exploit = epsilon_greedy(expected, allowed, np.full(n, 0.2))
    chosen, explored = draw(explore, exploit, u)
    vector = (explore + exploit)[0]
    counts = np.bincount(chosen, minlength=OFFERS)
    possible = vector > 0
    assert counts[~possible].sum() == 0
    statistic = ((counts[possible] - n * vector[possible]) ** 2 / (n * vector[possible])).sum()
    # Upper 1.25e-5 quantiles of chi-square with 0..4 degrees of freedom.
    assert statistic < [1e-6, 19.1, 22.6, 25.4, 27.9][possible.sum() - 1]
    share = explored.mean()
    assert abs(share - 0.2) < 5 * np.sqrt(0.16 / n)


def test_the_draw_never_lands_on_an_offer_without_mass() -> None:
    """At both ends of [0, 1) the draw lands on an offer that has mass; an empty row gives none."""
    explore, exploit = np.array([[0.0, 0.0, 0.0]] * 3), np.array([[0.0, 1.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 0.0]])
    chosen, explored = draw(explore, exploit, np.array([0.0, np.nextafter(1.0, 0.0), 0.5]))
    assert chosen.tolist() == [1, 1, -1]
    assert not explored.any()


@settings(max_examples=60, deadline=None)
@given(situations(), st.lists(st.integers(0, 2), min_size=2, max_size=2), st.lists(st.booleans(), min_size=2 * OFFERS, max_size=2 * OFFERS))
def test_slates_under_shared_caps_equal_brute_force(
    situation: tuple[np.ndarray, np.ndarray, float], room: list[int], members: list[bool]
) -> None:
    """Two-slot slates over a fine grid of draws come as often as the logged conditionals say, and never overspend a cap."""
    expected, allowed, epsilon = situation
    capped_by = np.array(members, dtype=np.int64).reshape(OFFERS, 2)
    allowed = allowed & ~((np.array(room) <= 0).astype(np.int64) @ capped_by.T > 0)
    grid = (np.arange(50) + 0.5) / 50
    draws = np.array(list(product(grid, grid)))
    n = len(draws)
    slates = slates_of(expected, Policy("epsilon_greedy", epsilon=epsilon), draws, allowed, (room, capped_by, capped_by))
    spent = np.zeros((n, 2), dtype=np.int64)
    for slot in range(2):
        spent += np.where(slates.choice[:, slot, None] >= 0, capped_by[slates.choice[:, slot]], 0)
    assert (spent <= np.array(room)).all()
    first = slates.probability[0, 0]
    assert first.sum() == pytest.approx(1.0 if allowed.any() else 0.0)
    for offer in np.flatnonzero(first):
        rows = slates.choice[:, 0] == offer
        assert abs(rows.mean() - first[offer]) <= 2 * OFFERS / 50
        if rows.any():
            conditional = slates.probability[1, rows][0]
            frequency = np.bincount(slates.choice[rows, 1][slates.choice[rows, 1] >= 0], minlength=OFFERS) / rows.sum()
            assert np.abs(frequency - conditional).max() <= 2 * OFFERS / 50


def test_slots_repeat_nothing_and_each_has_its_own_vector() -> None:
    """Three slots hold three different offers, each slot's vector sums to 1 over what the slots before it left."""
    n = 5_000
    generator = np.random.default_rng(7)
    draws = generator.random((n, 3))
    slates = slates_of([3.0, 2.0, 1.0, 1.0], Policy("epsilon_greedy", epsilon=0.4), draws)
    assert all(len(set(row)) == 3 for row in slates.choice.tolist())
    assert slates.probability.sum(axis=2) == pytest.approx(1.0)
    second = np.bincount(slates.choice[slates.choice[:, 0] == 0, 1], minlength=4)
    logged = slates.probability[1, slates.choice[:, 0] == 0][0]
    assert logged[0] == 0
    assert np.abs(second / second.sum() - logged).max() < 0.04


def test_mean_importance_weight_is_one() -> None:
    """For a uniform target policy the mean weight target / logged of each slot is 1 within three standard errors."""
    n = 40_000
    generator = np.random.default_rng(11)
    slates = slates_of([3.0, 2.0, 1.0, 0.5], Policy("epsilon_greedy", epsilon=0.5), generator.random((n, 2)))
    rows = np.arange(n)
    for slot, left in ((0, 4), (1, 3)):
        weight = (1 / left) / slates.probability[slot, rows, slates.choice[:, slot]]
        assert abs(weight.mean() - 1) < 3 * weight.std() / np.sqrt(n)


def test_fewer_slots_than_the_batch_are_left_empty() -> None:
    """A request for one slot beside one for two gets one offer, and no mass in the second slot."""
    both = np.ones((2, 3), dtype=bool)
    counts = np.array([1, 2])
    policies = Policies([Policy("greedy")])
    slates = fill(Worth(np.ones((2, 3))), both, policies, np.zeros(2, dtype=np.intp), counts, np.full((2, 2), 0.4))
    assert slates.choice[0, 1] == -1
    assert slates.probability[1, 0].sum() == 0
    assert slates.probability[1, 1].sum() == pytest.approx(1.0)
