"""Every policy's vector against its definition."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from liftgate.domain.policy import GroupPolicy, Policy, least
from liftgate.selection.policy import Policies, Worth
from liftgate.selection.random_propensity import random_propensity
from liftgate.selection.softmax import softmax
from tests.selection import reference
from tests.selection.test_exact_slates import CHEAP, COSTLY, K, columns_of, people

EVERY = (*CHEAP, *COSTLY)


@settings(max_examples=150, deadline=None)
@given(st.sampled_from(CHEAP), people(), st.lists(st.booleans(), min_size=K, max_size=K))
def test_a_vector_is_what_its_definition_says(policy: Policy, person: reference.Person, allowed: list[bool]) -> None:
    """The vector equals the definition, sums to 1 over the allowed, is 0 elsewhere, and gives every allowed offer its floor."""
    groups = [GroupPolicy(name, own, inner) for name, (own, inner) in person.groups.items()]
    there = np.array([allowed])
    explore, exploit = Policies([policy], groups, K).vector(np.zeros(1, dtype=np.intp), columns_of(person), there)
    found = (explore + exploit)[0]
    open_ = [k for k in range(K) if allowed[k]]
    wanted = reference.vector(policy, person, open_)
    assert found.tolist() == pytest.approx([wanted.get(k, 0.0) for k in range(K)], abs=1e-12)
    assert found.sum() == pytest.approx(1.0 if open_ else 0.0)
    assert (explore >= 0).all()
    assert (exploit >= 0).all()
    if open_ and not groups:
        assert found[open_].min() >= min(policy.floor, 1 / len(open_)) - 1e-12
        assert found[open_].min() >= least(policy, len(open_), min(policy.weights or (0.0,)) / sum(policy.weights or (1.0,))) - 1e-12


@given(st.lists(st.integers(0, len(EVERY) - 1), min_size=1, max_size=12), st.integers(0, 10_000))
@settings(max_examples=40, deadline=None)
def test_rows_of_one_batch_may_have_any_policies(kinds: list[int], seed: int) -> None:
    """Each row of a mixed batch gets, to rounding, what it would get alone."""
    g = np.random.default_rng(seed)
    n = len(kinds)
    certain, propensity = g.uniform(0.5, 4.0, (n, K)), g.uniform(0.02, 0.5, (n, K))
    worth, allowed, of = Worth(certain * propensity, certain, propensity), g.random((n, K)) < 0.8, np.array(kinds, dtype=np.intp)
    policies = Policies(EVERY, [GroupPolicy("a", (0, 2), Policy("softmax", temperature=0.5))], K)
    together = policies.vector(of, worth, allowed)
    for row in range(n):
        only = np.array([row])
        alone = policies.vector(of[only], worth.rows(only), allowed[only])
        for mixed, single in zip(together, alone, strict=True):
            assert mixed[row] == pytest.approx(single[0], abs=1e-12)


def test_what_counts_as_exploring() -> None:
    """The floor, epsilon's part and what misses the best explore; policies that do not look at worth explore always."""
    worth, there = Worth(np.array([[3.0, 2.0, 2.0]])), np.ones((1, 3), dtype=bool)
    one = np.zeros(1, dtype=np.intp)

    def exploit(policy: Policy) -> list[float]:
        part: list[float] = Policies([policy]).vector(one, worth, there)[1][0].tolist()
        return part

    assert exploit(Policy("greedy")) == [1.0, 0.0, 0.0]
    assert exploit(Policy("greedy", floor=0.1)) == pytest.approx([0.7, 0.0, 0.0])
    best = float(softmax(worth.expected, there, 1.0)[0, 0])
    assert exploit(Policy("softmax", temperature=1.0, floor=0.1)) == pytest.approx([0.7 * best, 0.0, 0.0])
    assert exploit(Policy("uniform")) == exploit(Policy("fixed", weights=(1.0, 1.0, 1.0))) == [0.0, 0.0, 0.0]


def test_softmax_knows_its_unit() -> None:
    """In currency the odds are exp(difference / temperature); relative ones are the same whatever the currency."""
    worth, there = np.array([[2.0, 1.5, 1.0]]), np.ones((1, 3), dtype=bool)
    found = softmax(worth, there, 0.5)[0]
    assert found[0] / found[1] == pytest.approx(np.e)
    relative = softmax(worth, there, 0.25, relative=True)[0]
    assert relative == pytest.approx(found)
    assert softmax(worth * 100, there, 0.25, relative=True)[0] == pytest.approx(relative)
    assert softmax(np.zeros((1, 3)), there, 0.25, relative=True)[0] == pytest.approx(np.full(3, 1 / 3))


@pytest.mark.parametrize("seed", range(4))
def test_random_propensities_meet_their_frequency(seed: int) -> None:
    """The exact vector equals the share of 400,000 sets of random propensities in which each offer is worth most, within 5 s.e."""
    g = np.random.default_rng(seed)
    weight = np.exp(g.normal(0, 1, 6))
    allowed = g.random(6) < 0.8
    allowed[:2] = True
    vector = random_propensity(weight[None], allowed[None])[0]
    drawn = np.where(allowed, g.random((400_000, 6)) * weight, -1.0).argmax(axis=1)
    share = np.bincount(drawn, minlength=6) / 400_000
    assert vector.sum() == pytest.approx(1.0)
    assert (np.abs(share - vector) <= 5 * np.sqrt(vector * (1 - vector) / 400_000) + 1e-12).all()


def test_random_propensities_of_many_offers_do_not_overflow() -> None:
    """A thousand offers of very different worth still have a vector."""
    weight = np.exp(np.linspace(-200, 200, 1000))[None]
    vector = random_propensity(weight, np.ones((1, 1000), dtype=bool))
    assert np.isfinite(vector).all()
    assert vector.sum() == pytest.approx(1.0)
