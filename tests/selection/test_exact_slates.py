"""Slates of every policy against brute force on small catalogs: vectors, conditionals, marginals and the joint."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from liftgate.domain.policy import GroupPolicy, Policy
from liftgate.selection.marginal import BUDGET, cost, ladder
from liftgate.selection.policy import Policies, Worth
from liftgate.selection.slate import Slates
from tests.selection import reference
from tests.selection.drawing import slates_of
from tests.selection.reference import Counter, Person

K = 5
CHEAP = (
    Policy("greedy"),
    Policy("greedy", floor=0.05),
    Policy("epsilon_greedy", epsilon=0.3),
    Policy("epsilon_greedy", epsilon=0.2, floor=0.1),
    Policy("uniform"),
    Policy("softmax", temperature=0.3),
    Policy("softmax", temperature=0.2, relative=True, floor=0.02),
    Policy("fixed", weights=(1.0, 2.0, 3.0, 4.0, 5.0)),
    Policy("fixed", weights=(9.0, 2.0, 1.0, 4.0, 5.0), floor=0.05),
)
COSTLY = (Policy("thompson", floor=0.02, evidence=60), Policy("random_propensity"))
policies = st.sampled_from(CHEAP)


@st.composite
def people(draw: st.DrawFn) -> Person:
    """One person's offers, ties likely, now and then with groups that select by themselves."""
    certain = draw(st.lists(st.sampled_from([0.5, 1.0, 2.0, 4.0]), min_size=K, max_size=K))
    propensity = draw(st.lists(st.sampled_from([0.05, 0.1, 0.25, 0.5]), min_size=K, max_size=K))
    groups: dict[str, tuple[tuple[int, ...], Policy]] = {}
    if draw(st.booleans()):
        groups["a"] = ((0, 1), draw(policies))
    if draw(st.booleans()):
        groups["b"] = ((3, 4), draw(policies))
    return Person(certain, propensity, groups)


counters_of = st.lists(
    st.builds(Counter, st.integers(1, 2), st.frozensets(st.integers(0, K - 1), min_size=1, max_size=4)), min_size=0, max_size=2
)


def columns_of(person: Person) -> Worth:
    """The person as one row."""
    certain, propensity = np.array([person.certain]), np.array([person.propensity])
    return Worth(certain * propensity, certain, propensity)


def drawn(policy: Policy, person: Person, allowed: list[bool], counters: list[Counter], slots: int, n: int) -> Slates:
    """Slates of one person over n sets of draws."""
    members = np.array([[int(k in one.members) for one in counters] for k in range(K)], dtype=np.int64).reshape(K, len(counters))
    limits = ([int(one.room) for one in counters], members, members) if counters else None
    groups = [GroupPolicy(name, own, inner) for name, (own, inner) in person.groups.items()]
    draws = np.random.default_rng(1).random((n, slots))
    return slates_of(columns_of(person), policy, draws, allowed, limits, groups)


def holds(policy: Policy, person: Person, allowed: list[bool], counters: list[Counter], slots: int, error: float) -> None:
    """Assert that conditionals, joint and marginals of many drawn slates equal brute force."""
    found = drawn(policy, person, allowed, counters, slots, 64)
    chances = cache(lambda open_: reference.vector(policy, person, open_))
    tree = reference.slates(chances, [k for k in range(K) if allowed[k]], slots, counters)
    assert sum(tree.values()) == pytest.approx(1.0, abs=1e-9)
    wanted = np.zeros((slots, K))
    for slate, chance in tree.items():
        for s, k in enumerate(slate):
            wanted[s, k] += chance
    assert found.marginal is not None
    assert found.joint is not None
    for row in range(64):
        assert found.marginal[:, row] == pytest.approx(wanted, abs=error)
        slate = tuple(int(k) for k in found.choice[row] if k >= 0)
        assert found.joint[row] == pytest.approx(tree[slate], abs=error)
        assert found.joint[row] == pytest.approx(np.prod([found.probability[s, row, k] for s, k in enumerate(slate)]), abs=1e-15)


@settings(max_examples=250, deadline=None)
@given(policies, people(), st.lists(st.booleans(), min_size=K, max_size=K), counters_of, st.integers(2, 5))
def test_slates_equal_brute_force(policy: Policy, person: Person, allowed: list[bool], counters: list[Counter], slots: int) -> None:
    """Under shared caps and diversity too, every policy's marginals and joint are those of the whole tree, to rounding."""
    holds(policy, person, allowed, counters, slots, 1e-9)


@settings(max_examples=6, deadline=None)
@given(st.sampled_from(COSTLY), people(), st.lists(st.booleans(), min_size=K, max_size=K), counters_of)
def test_costly_policies_equal_brute_force(policy: Policy, person: Person, allowed: list[bool], counters: list[Counter]) -> None:
    """Random propensities equal quadrature, Thompson sampling within its stated error, over the whole tree of three slots."""
    holds(policy, person, allowed, counters, 3, 5e-4 * 3 if policy.kind == "thompson" else 1e-7)


@given(st.sampled_from([0.0, 0.1, 1.0]), st.sampled_from([0.0, 0.01]), st.integers(1, 60), st.integers(1, 10))
def test_marginals_by_rank_are_distributions(mass: float, floor: float, count: int, slots: int) -> None:
    """Each slot's marginals sum to 1 while offers are left; over all slots no offer stands in more than one."""
    chance = ladder(mass, floor, count, slots)
    assert chance.sum(axis=1) == pytest.approx([1.0 if s < count else 0.0 for s in range(slots)])
    assert (chance >= 0).all()
    assert (chance.sum(axis=0) <= 1 + 1e-9).all()


def test_what_costs_too_much_is_not_given() -> None:
    """Marginals beyond the budget are NaN after the first slot, for that row alone; the joint is always there."""
    policies = Policies([Policy("softmax", temperature=0.3)])
    assert cost(policies, 0, 15, 3) <= BUDGET < cost(policies, 0, 20, 3)
    many = slates_of(np.linspace(0, 1, 40), Policy("softmax", temperature=0.3), np.full((1, 4), 0.5))
    assert many.marginal is not None
    assert many.joint is not None
    assert many.marginal[0, 0] == pytest.approx(many.probability[0, 0])
    assert np.isnan(many.marginal[1:, 0]).all()
    assert 0 < many.joint[0] < 1
    even = slates_of(np.linspace(0, 1, 400), Policy("epsilon_greedy", epsilon=0.3), np.full((1, 10), 0.5))
    assert even.marginal is not None
    assert even.marginal.sum(axis=2) == pytest.approx(1.0)


def test_the_first_slots_formula_is_no_marginal_of_the_second() -> None:
    """The control: what the first slot was drawn from, taken for the second, is far from brute force."""
    found = slates_of([3.0, 2.0, 1.0], Policy("epsilon_greedy", epsilon=0.1), np.full((1, 2), 0.5))
    assert found.marginal is not None
    assert np.abs(found.probability[0, 0] - found.marginal[1, 0]).max() > 0.8
