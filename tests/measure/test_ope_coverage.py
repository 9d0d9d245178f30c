"""Off-policy intervals in simulation: how often they hold the true value, printed and held to binomial bounds."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from liftgate.measure.ope import Logged, estimate_all
from liftgate.measure.ope_trust import Limits, diagnose, judge

Floats = NDArray[np.float64]
RUNS, ROWS = 600, 800
CHANCE = np.array([[0.10, 0.30, 0.20, 0.15], [0.40, 0.10, 0.20, 0.30], [0.20, 0.25, 0.35, 0.05]])
EPSILON = 0.3
GREEDY = np.array([1, 3, 0])


def epsilon_greedy(best: NDArray[np.int_], epsilon: float) -> Floats:
    """Return probabilities by context and action."""
    policy = np.full((3, 4), epsilon / 4)
    policy[np.arange(3), best] += 1 - epsilon
    return policy


LOGGING = epsilon_greedy(GREEDY, EPSILON)
TARGET = 0.7 * epsilon_greedy(np.array([1, 0, 2]), 0.1) + 0.3 * LOGGING
VALUE = float((TARGET * CHANCE).sum() / 3)


def bounds(runs: int, z: float = 3.29) -> tuple[float, float]:
    """Return where the share of intervals that hold the value lies in 999 of 1,000 such simulations, if 95 % do."""
    half = z * float(np.sqrt(0.95 * 0.05 / runs))
    return 0.95 - half, 0.95 + half


def draw(policy: Floats, x: NDArray[np.int_], dice: np.random.Generator) -> NDArray[np.int_]:
    """Return one action for each context."""
    return np.asarray((policy[x].cumsum(axis=1) < dice.random(len(x))[:, None]).sum(axis=1))


def simulate(dice: np.random.Generator, model: Floats) -> Logged:
    """Return a log of ROWS decisions."""
    x = dice.integers(0, 3, ROWS)
    a = draw(LOGGING, x, dice)
    r = (dice.random(ROWS) < CHANCE[x, a]).astype(np.float64)
    return Logged(r, LOGGING[x, a], TARGET[x, a], q_logged=model[x, a], q_target=(TARGET * model).sum(axis=1)[x])


def test_intervals_hold_the_value_as_often_as_they_say() -> None:
    """IPS, SNIPS, DR and SNDR intervals, of theory and bootstrap, hold it in 95 % of runs; a wrong DM and a hard clip do not."""
    dice = np.random.default_rng(6)
    model = CHANCE + dice.normal(0, 0.1, CHANCE.shape) + 0.1
    theory: dict[str, int] = {}
    resampled: dict[str, int] = {}
    refused = 0
    for run in range(RUNS):
        logged = simulate(dice, model)
        refused += judge(diagnose(logged, 10.0), logged.reward, Limits()) is not None
        for one in estimate_all(logged, clip=2.0, switch=20.0, replicates=100, seed=run):
            theory[one.estimator] = theory.get(one.estimator, 0) + (one.ci_low <= VALUE <= one.ci_high)
            assert one.bootstrap_ci_low is not None
            assert one.bootstrap_ci_high is not None
            resampled[one.estimator] = resampled.get(one.estimator, 0) + (one.bootstrap_ci_low <= VALUE <= one.bootstrap_ci_high)
    low, high = bounds(RUNS)
    print(f"\n{RUNS} runs of {ROWS} decisions, {refused} refused; 95 % intervals should hold the value in {low:.3f} to {high:.3f}")
    for name in theory:
        print(f"  {name:12s} influence function {theory[name] / RUNS:.3f}   bootstrap {resampled[name] / RUNS:.3f}")
    for name in ("ips", "snips", "dr", "sndr", "switch_dr"):
        assert low <= theory[name] / RUNS <= high, name
        assert low - 0.015 <= resampled[name] / RUNS <= high, name  # 100 replicates make percentiles a little narrow
    assert theory["dm"] / RUNS < 0.5
    assert theory["clipped_ips"] / RUNS < 0.5
    assert refused <= 0.02 * RUNS


def test_people_with_several_decisions_are_units() -> None:
    """With 1 to 9 decisions a person, alike within one, intervals over people hold the value in 95 % of runs, over rows not."""
    dice = np.random.default_rng(7)
    people, held = 200, {"people": 0, "rows": 0}
    for _ in range(RUNS):
        person = np.repeat(np.arange(people), dice.integers(1, 10, people))
        x = dice.integers(0, 3, people)[person]  # a person stays in one context
        mood = dice.normal(0, 1, people)[person]
        a = draw(LOGGING, x, dice)
        r = CHANCE[x, a] + 0.5 * mood + dice.normal(0, 0.2, len(person))
        for name, cluster in (("people", person), ("rows", None)):
            one = estimate_all(Logged(r, LOGGING[x, a], TARGET[x, a], cluster=cluster), replicates=0)[2]
            held[name] += one.ci_low <= VALUE <= one.ci_high
    low, high = bounds(RUNS)
    print(f"\nSNIPS, {people} people; {low:.3f} to {high:.3f} is right")
    print(f"  over people {held['people'] / RUNS:.3f}   over rows {held['rows'] / RUNS:.3f}")
    assert low - 0.01 <= held["people"] / RUNS <= high
    assert held["rows"] / RUNS < 0.85


def test_a_target_without_support_is_refused() -> None:
    """Where the log never takes an action that the target takes, the exact column refuses every run, and mean weights alone nearly all."""
    dice = np.random.default_rng(8)
    logging = LOGGING.copy()
    logging[1] = [0.0, 0.2, 0.2, 0.6]  # the target's favourite in context 1 was never tried
    by_column = by_weight = wrong = 0
    for _ in range(RUNS):
        x = dice.integers(0, 3, ROWS)
        a = draw(logging, x, dice)
        r = (dice.random(ROWS) < CHANCE[x, a]).astype(np.float64)
        lost = np.where(logging == 0, TARGET, 0.0).sum(axis=1)[x]
        told, blind = Logged(r, logging[x, a], TARGET[x, a], unsupported=lost), Logged(r, logging[x, a], TARGET[x, a])
        by_column += _code(told) == "missing_support"
        by_weight += _code(blind) == "missing_support"
        one = estimate_all(blind, replicates=0)[1]
        wrong += not one.ci_low <= VALUE <= one.ci_high
    print(
        f"\nno support for {lost.mean():.0%} of the target, {RUNS} runs: refused by the column {by_column / RUNS:.1%}, by the mean weight "
        f"{by_weight / RUNS:.1%}; the IPS interval would have missed the value in {wrong / RUNS:.1%}"
    )
    assert by_column == RUNS
    assert by_weight / RUNS > 0.85
    assert wrong / RUNS > 0.5


def _code(logged: Logged) -> str | None:
    refusal = judge(diagnose(logged, 10.0), logged.reward, Limits())
    return refusal.code if refusal else None
