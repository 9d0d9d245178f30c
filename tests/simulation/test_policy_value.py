"""The example's estimator of a policy's value finds the truth of simulated campaigns, and its intervals cover it."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

Floats = NDArray[np.float64]
EXAMPLE = Path(__file__).parents[2] / "examples" / "hillstrom"
CHANCE = np.array([1.0, 1.0, 1.0]) / 3.0


def _module(name: str) -> ModuleType:
    """Load a file of the example, which is no package."""
    spec = importlib.util.spec_from_file_location(f"hillstrom_{name}", EXAMPLE / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


value = _module("policy_value")


@dataclass(frozen=True)
class Simulated:
    """One campaign with a known truth."""

    policy: Floats
    sent: NDArray[np.intp]
    outcome: Floats
    truth: float
    """The policy's value over these customers and all others like them."""


def simulate(seed: int, n: int = 3000, chance: Floats = CHANCE, spend: bool = False) -> Simulated:
    """Customers with a trait that decides what works, a policy that half follows it, and outcomes drawn from the truth."""
    dice = np.random.default_rng(seed)
    trait = dice.random(n)
    p = np.stack([0.10 + 0.20 * trait, 0.25 - 0.15 * trait, np.full(n, 0.08)], axis=1)
    policy = np.full((n, 3), 0.1 / 3)
    policy[np.arange(n), np.where(trait > 0.6, 0, 1)] += 0.9
    sent = dice.choice(3, size=n, p=chance)
    happened = (dice.random(n) < p[np.arange(n), sent]).astype(np.float64)
    # E[p] under the policy in closed form: integrals of the two lines over [0.6, 1] and [0, 0.6], and the even share.
    greedy = 0.4 * (0.10 + 0.20 * 0.8) + 0.6 * (0.25 - 0.15 * 0.3)
    truth = 0.9 * greedy + 0.1 / 3 * (0.20 + 0.175 + 0.08)
    if spend:
        return Simulated(policy, sent, happened * dice.exponential(100.0, n), truth * 100.0)
    return Simulated(policy, sent, happened, truth)


@pytest.mark.parametrize("estimator", ["ips", "snips"])
@pytest.mark.parametrize("spend", [False, True], ids=["visits", "money"])
def test_intervals_cover_the_truth(estimator: str, spend: bool) -> None:
    """Of 300 campaigns' 95 % intervals at least 93 % hold the truth, and not so many that they must be too wide."""
    covered, errors, off = 0, [], []
    for seed in range(300):
        found = simulate(seed, spend=spend)
        estimate = getattr(value, estimator)(value.weights(found.policy, found.sent, CHANCE), found.outcome)
        covered += estimate.low <= found.truth <= estimate.high
        errors.append(estimate.standard_error)
        off.append(estimate.value - found.truth)
    assert covered >= 279
    assert abs(np.mean(off)) < 3 * np.std(off) / np.sqrt(300)
    assert np.mean(errors) == pytest.approx(np.std(off), rel=0.15)


def test_difference_covers_no_difference() -> None:
    """Two policies of equal value differ by nothing within the interval of at least 93 % of 300 campaigns."""
    covered = 0
    for seed in range(300):
        found = simulate(seed)
        turned = found.policy.copy()
        # The same policy for most, another of the same mean for those whom nothing tells apart: the last offer's share.
        swap = np.arange(len(turned)) % 2 == 0
        even = np.full((len(turned), 3), 1 / 3)
        first = np.where(swap[:, None], turned, even)
        second = np.where(swap[:, None], even, turned)
        weight = value.weights(first, found.sent, CHANCE), value.weights(second, found.sent, CHANCE)
        estimate = value.difference(*weight, found.outcome)
        covered += estimate.low <= 0.0 <= estimate.high
    assert covered >= 279


def test_a_wrong_chance_is_seen() -> None:
    """Control: with chances that are not the campaign's the intervals miss the truth, and the mean weight tells."""
    tilted = np.array([0.2, 0.6, 0.2])
    missed = 0
    for seed in range(50):
        found = simulate(seed, chance=tilted)
        wrong, right = (value.weights(found.policy, found.sent, chance) for chance in (CHANCE, tilted))
        estimate = value.ips(wrong, found.outcome)
        missed += not estimate.low <= found.truth <= estimate.high
        seen, unseen = value.support(wrong), value.support(right)
        assert abs(seen.mean_weight - 1) > 4 * seen.mean_weight_error
        assert abs(unseen.mean_weight - 1) < 4 * unseen.mean_weight_error
    assert missed >= 45


def test_always_one_offer_is_the_arms_mean() -> None:
    """The self-normalised value of sending everyone one offer is the plain mean of those who were sent it."""
    found = simulate(5)
    for k in range(3):
        weight = value.weights(value.always(k, len(found.sent), 3), found.sent, CHANCE)
        arm = found.outcome[found.sent == k]
        estimate = value.snips(weight, found.outcome)
        assert estimate.value == pytest.approx(arm.mean(), abs=1e-12)
        assert estimate.standard_error == pytest.approx(arm.std(ddof=1) / np.sqrt(len(arm)), rel=0.01)


def test_difference_is_welchs() -> None:
    """The difference of two single-offer policies has the standard error of two independent means."""
    found = simulate(6)
    first, second = (value.weights(value.always(k, len(found.sent), 3), found.sent, CHANCE) for k in (0, 2))
    arms = [found.outcome[found.sent == k] for k in (0, 2)]
    estimate = value.difference(first, second, found.outcome)
    assert estimate.value == pytest.approx(arms[0].mean() - arms[1].mean(), abs=1e-12)
    assert estimate.standard_error == pytest.approx(np.sqrt(sum(a.var(ddof=1) / len(a) for a in arms)), rel=0.01)


def _refusals() -> list[tuple[str, Callable[[], Any]]]:
    sent = np.zeros(4, dtype=np.intp)
    even = np.full((4, 3), 1 / 3)
    never = np.array([0.5, 0.5, 0.0])
    return [
        ("no distribution", lambda: value.weights(even * 0.9, sent, CHANCE)),
        ("no distribution", lambda: value.weights(even * np.nan, sent, CHANCE)),
        ("no distribution", lambda: value.weights(even, sent, CHANCE * 2)),
        ("never sent", lambda: value.weights(even, sent, never)),
        ("shape", lambda: value.weights(even[:, :2], sent, CHANCE)),
        ("shape", lambda: value.weights(even[:0], sent[:0], CHANCE)),
        ("effective customers", lambda: value.support(np.r_[1000.0, np.zeros(999)])),
        ("effective customers", lambda: value.support(np.zeros(1000))),
    ]


@pytest.mark.parametrize(("words", "call"), _refusals())
def test_what_cannot_be_estimated_is_refused(words: str, call: Callable[[], Any]) -> None:
    """No estimate from probabilities that are none, from an offer that nobody was sent, or from a handful of customers."""
    with pytest.raises(value.Refused, match=words):
        call()
