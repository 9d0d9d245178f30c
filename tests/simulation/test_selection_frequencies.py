"""What is logged is what happens: 100,000 draws of each fixture against the logged vectors, and importance weights of mean 1."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from functools import cache

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import stats

from tests.simulation.selection_fixtures import DRAWS, FIXTURES, Drawn, Fixture, draw

ALPHA = 1e-3
"""Of all tests together: each fixture has one for its conditionals, one for its marginals and one for its slates."""
LEAST = 5.0
"""Expected counts of cells; rarer ones are pooled."""
Array = NDArray[np.float64]


@cache
def drawn(fixture: Fixture) -> Drawn:
    """The fixture's slates, drawn once for all tests."""
    return draw(fixture)


def p_value(cells: Iterable[tuple[Array, Array]]) -> float:
    """Return P(a chi-square as large, or larger) of independent multinomials: (observed, expected) counts each; rare cells are pooled."""
    statistic, freedom = 0.0, 0
    for observed, expected in cells:
        if observed[expected == 0].any():
            return 0.0
        rare = expected < LEAST
        seen = [*observed[~rare], observed[rare].sum()]
        hoped = [*expected[~rare], expected[rare].sum()]
        pairs = [(o, e) for o, e in zip(seen, hoped, strict=True) if e >= LEAST]
        if len(pairs) > 1:
            statistic += sum((o - e) ** 2 / e for o, e in pairs)
            freedom += len(pairs) - 1
    return float(stats.chi2.sf(statistic, freedom)) if freedom else 1.0


def conditionals(found: Drawn) -> Iterator[tuple[Array, Array]]:
    """Yield, for each slot and each slate before it, how often each offer came and how often the vector that was logged says."""
    choice, k = found.slates.choice, found.slates.probability.shape[2]
    for s in range(choice.shape[1]):
        _, first, before = np.unique(choice[:, :s], axis=0, return_index=True, return_inverse=True)
        for prefix, row in enumerate(first):
            rows = np.flatnonzero(before.reshape(-1) == prefix)
            logged = found.slates.probability[s, row]
            assert (found.slates.probability[s, rows] == logged).all() or np.allclose(found.slates.probability[s, rows], logged, atol=1e-12)
            counts = np.bincount(choice[rows, s] + 1, minlength=k + 1).astype(np.float64)
            yield counts, len(rows) * np.concatenate([[max(1 - logged.sum(), 0.0) if logged.sum() < 0.5 else 0.0], logged])


def marginals(found: Drawn) -> float:
    """Return the smallest p-value of the slots' marginals, corrected for their number."""
    choice, k = found.slates.choice, found.slates.probability.shape[2]
    values = []
    for s in range(choice.shape[1]):
        counts = np.bincount(choice[:, s] + 1, minlength=k + 1).astype(np.float64)
        missing = max(1 - found.marginal[s].sum(), 0.0)
        values.append(p_value([(counts, DRAWS * np.concatenate([[missing if missing > 1e-9 else 0.0], found.marginal[s]]))]))
    return min(1.0, min(values) * len(values))


def slates(found: Drawn) -> float:
    """Return the p-value of whole slates against their logged joint."""
    which, first, counts = np.unique(found.slates.choice, axis=0, return_index=True, return_counts=True)
    assert len(which)
    joint = found.slates.probability[0, first, which[:, 0]] if found.slates.joint is None else found.slates.joint[first]
    unseen = max(1 - joint.sum(), 0.0)
    return p_value([(np.append(counts, 0.0), DRAWS * np.append(joint, unseen if unseen > 1e-9 else 0.0))])


def weights(found: Drawn, probability: Array) -> Iterator[Array]:
    """Yield each slot's importance weights under a target that shares the square root of the logged chances."""
    rows = np.arange(len(found.slates.choice))
    for s in range(found.slates.choice.shape[1]):
        some = rows[found.slates.choice[:, s] >= 0]
        if len(some) < DRAWS / 2:
            continue
        target = np.sqrt(found.slates.probability[s, some])
        target /= target.sum(axis=1, keepdims=True)
        chosen = found.slates.choice[some, s]
        yield target[np.arange(len(some)), chosen] / probability[s, some, chosen]


def deviation(sample: Array) -> float:
    """Return how many standard errors the mean is from 1; 0 where every weight is 1."""
    error = float(sample.std() / np.sqrt(len(sample)))
    return abs(float(sample.mean()) - 1) / error if error > 1e-12 else abs(float(sample.mean()) - 1) * 1e9


def test_there_are_enough_fixtures() -> None:
    """Thirty and more, no two alike."""
    assert len({fixture.name for fixture in FIXTURES}) == len(FIXTURES) >= 30


@pytest.mark.parametrize("fixture", FIXTURES, ids=lambda fixture: fixture.name)
def test_frequencies_meet_the_logged_vectors(fixture: Fixture) -> None:
    """Of 100,000 draws each slot's offers come as often as its conditionals and marginals say, and whole slates as often as the joint."""
    found = drawn(fixture)
    assert not (found.slates.choice >= 0)[:, 0].any() or found.allowed[found.slates.choice[:, 0]].all()
    enough = ALPHA / (3 * len(FIXTURES))
    assert p_value(conditionals(found)) > enough
    assert marginals(found) > enough
    assert slates(found) > enough


@pytest.mark.parametrize("fixture", FIXTURES, ids=lambda fixture: fixture.name)
def test_mean_importance_weight_is_one(fixture: Fixture) -> None:
    """In every slot the mean weight of another policy is 1 within three standard errors."""
    found = drawn(fixture)
    samples = list(weights(found, found.slates.probability))
    assert samples or not found.allowed.any()
    for sample in samples:
        assert deviation(sample) < 3


@pytest.mark.parametrize("name", ["floored-0", "softmax-0", "fixed-0", "grouped-0", "thompson-0"])
def test_the_first_slots_formula_for_every_slot_is_found_out(name: str) -> None:
    """The control: with the first slot's vector logged for every slot, frequencies and weights are both far off."""
    fixture = next(one for one in FIXTURES if one.name == name)
    found = drawn(fixture)
    wrong = np.broadcast_to(found.slates.probability[:1], found.slates.probability.shape)
    broken = replace(
        found, slates=replace(found.slates, probability=wrong), marginal=np.broadcast_to(found.marginal[:1], found.marginal.shape)
    )
    assert p_value(conditionals(broken)) < 1e-12
    assert marginals(broken) < 1e-12
    with np.errstate(divide="ignore"):
        assert max(deviation(sample) for sample in weights(found, wrong)) > 10


def test_a_probability_from_before_filtering_is_found_out() -> None:
    """The control: with the vector of all three candidates logged where one of them was denied, the mean weight is far from 1."""
    found = next(one for one in map(drawn, (fixture for fixture in FIXTURES if fixture.placement == "uniform")) if one.allowed.sum() == 2)
    before = (found.slates.probability > 0) / 3
    assert max(deviation(sample) for sample in weights(found, before)) > 10
