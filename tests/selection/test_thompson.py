"""Thompson sampling's probabilities: the quadrature against an adaptive one, the posterior against Beta posteriors that are sampled."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from liftgate.selection.policy import Policies, Policy, Worth
from liftgate.selection.thompson import spread_of, thompson
from tests.selection.reference import best_of_posteriors

QUADRATURE_ERROR = 5e-4
"""Stated in docs/decisions/0015 and docs/selection.md, as is the next."""
POSTERIOR_ERROR = {0.5: 0.010, 1.0: 0.006, 3.0: 0.004, 10.0: 0.003}
"""By expected positives behind the smallest propensity, propensities of 0.3 and less."""
Array = NDArray[np.float64]


def situation(seed: int, k: int) -> tuple[Array, Array]:
    """Means and spreads of one row: every second one of alike offers, the others of very different ones."""
    g = np.random.default_rng(seed)
    if seed % 2:
        certain, propensity, seen = np.ones(k), 0.03 * np.exp(0.2 * g.normal(size=k)), np.full(k, 100.0)
    else:
        certain, propensity, seen = np.exp(g.normal(0, 1, k)), g.beta(1, 20, k).clip(0.002, 0.9), np.exp(g.uniform(3, 9, k))
    mean = certain * propensity
    return mean, certain * np.sqrt(propensity * (1 - propensity) / (seen + 1))


@pytest.mark.parametrize(("k", "seed"), [*((k, seed) for k in (2, 3) for seed in range(8)), (8, 0), (8, 3), (8, 7)])
def test_the_quadrature_keeps_its_error(k: int, seed: int) -> None:
    """Against adaptive quadrature of the same posterior no probability is off by more than is stated."""
    mean, spread = situation(seed, k)
    found = thompson(mean[None], spread[None], np.ones((1, k), dtype=bool))[0]
    wanted = best_of_posteriors({i: (float(mean[i]), float(spread[i])) for i in range(k)})
    assert found.sum() == pytest.approx(1.0)
    assert np.abs(found - [wanted[i] for i in range(k)]).max() < QUADRATURE_ERROR


@pytest.mark.parametrize("positives", sorted(POSTERIOR_ERROR))
@pytest.mark.parametrize("seed", range(5))
def test_the_posterior_is_near_beta(seed: int, positives: float) -> None:
    """Against 400,000 draws from Beta posteriors no probability is off by more than is stated, given so many expected positives."""
    g = np.random.default_rng(seed)
    k = 6
    propensity = np.exp(g.uniform(np.log(0.005), np.log(0.3), k))
    seen = positives / propensity.min()
    certain = np.exp(0.3 * g.normal(size=k)) / propensity
    drawn = (g.beta(seen * propensity, seen * (1 - propensity), (400_000, k)) * certain).argmax(axis=1)
    share = np.bincount(drawn, minlength=k) / 400_000
    mean = certain * propensity
    found = thompson(mean[None], spread_of(certain[None], seen, propensity[None]), np.ones((1, k), dtype=bool))[0]
    assert np.abs(found - share).max() < POSTERIOR_ERROR[positives] + 0.0025


def test_each_offer_counts_for_its_own_trials() -> None:
    """Declared trials of an offer stand in for the policy's number, one offer apart from the other, and probabilities keep their error."""
    policies = Policies([Policy("thompson", floor=0.0, evidence=40.0)])
    certain, propensity, there = np.array([[4.0, 3.0, 3.5]]), np.full((1, 3), 0.5), np.ones((1, 3), dtype=bool)
    for trials, counted in (((1000.0, 10.0, np.nan), (1000.0, 10.0, 40.0)), ((10.0, 1000.0, 0.0), (10.0, 1000.0, 0.0))):
        worth = Worth(certain * propensity, certain, propensity, observations=np.array([trials]))
        found = np.add(*policies.vector(np.zeros(1, dtype=np.intp), worth, there))[0]
        spread = certain[0] * np.sqrt(0.25 / (np.array(counted) + 1))
        wanted = best_of_posteriors({k: (float(certain[0, k] / 2), float(spread[k])) for k in range(3)})
        assert np.abs(found - [wanted[k] for k in range(3)]).max() < QUADRATURE_ERROR
    plain = Worth(certain * propensity, certain, propensity)
    unsaid = Worth(certain * propensity, certain, propensity, observations=np.full((1, 3), np.nan))
    one, other = (np.add(*policies.vector(np.zeros(1, dtype=np.intp), worth, there)) for worth in (plain, unsaid))
    assert np.array_equal(one, other)


def test_more_evidence_explores_less() -> None:
    """The better known two offers are, the surer the better one is chosen."""
    propensity = np.array([[0.10, 0.12]])
    there = np.ones((1, 2), dtype=bool)
    best = [float(thompson(propensity, spread_of(np.ones((1, 2)), seen, propensity), there)[0, 1]) for seen in (10, 100, 1_000, 10_000)]
    assert best == sorted(best)
    assert best[0] < 0.6
    assert best[-1] > 0.99


def test_equals_share_and_certainty_wins() -> None:
    """Offers that are alike are chosen alike; without any spread the best wins, and ties share; losses and nothing at all are no error."""
    even = thompson(np.full((1, 4), 0.3), np.full((1, 4), 0.1), np.array([[True, True, True, False]]))
    assert even[0] == pytest.approx([1 / 3, 1 / 3, 1 / 3, 0.0])
    sure = thompson(np.array([[1.0, 2.0, 2.0], [3.0, 2.0, 1.0]]), np.zeros((2, 3)), np.ones((2, 3), dtype=bool))
    assert sure == pytest.approx(np.array([[0.0, 0.5, 0.5], [1.0, 0.0, 0.0]]))
    losing = thompson(np.array([[-0.2, -0.1, 0.0]]), np.full((1, 3), 0.1), np.ones((1, 3), dtype=bool))[0]
    assert losing.tolist() == sorted(losing.tolist())
    assert losing.sum() == pytest.approx(1.0)
    assert not thompson(np.ones((1, 2)), np.ones((1, 2)), np.zeros((1, 2), dtype=bool)).any()


def test_neighbours_change_nothing() -> None:
    """A row gets the same vector, to rounding, alone and among five hundred others."""
    rows = [situation(seed, 12) for seed in range(500)]
    mean, spread = np.array([row[0] for row in rows]), np.array([row[1] for row in rows])
    there = np.random.default_rng(3).random(mean.shape) < 0.8
    together = thompson(mean, spread, there)
    for row in range(0, 500, 23):
        alone = thompson(mean[row : row + 1], spread[row : row + 1], there[row : row + 1])
        assert together[row] == pytest.approx(alone[0], abs=1e-12)
