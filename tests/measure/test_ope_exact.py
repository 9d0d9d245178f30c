"""Off-policy estimators on problems small enough to enumerate, and the identities that hold for every log."""

from __future__ import annotations

import csv
import gzip
import itertools
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from liftgate.measure.ope import Logged, estimate_all
from liftgate.measure.ope_table import value_decisions
from liftgate.measure.ope_trust import Limits

Floats = NDArray[np.float64]
HILLSTROM = Path(__file__).parents[2] / "../shared/data/hillstrom.csv.gz"
CONTEXT = np.array([0.4, 0.6])
LOGGING = np.array([[0.3, 0.7], [0.8, 0.2]])
TARGET = np.array([[0.9, 0.1], [0.25, 0.75]])
CHANCE = np.array([[0.2, 0.6], [0.5, 0.9]])  # of a reward of 1, by context and action
MODEL = np.array([[0.7, 0.1], [0.4, 0.3]])  # wrong on purpose
VALUE = float((CONTEXT[:, None] * TARGET * CHANCE).sum())
CLIP = 1.5
ROWS = 3


def enumerate_logs(logging: Floats, target: Floats, rows: int) -> list[tuple[float, Logged]]:
    """Return every log of so many decisions that can happen, with its probability."""
    outcomes = []
    for x, a, r in itertools.product(range(2), range(2), range(2)):
        p = CONTEXT[x] * logging[x, a] * (CHANCE[x, a] if r else 1 - CHANCE[x, a])
        if p > 0:
            outcomes.append((p, (r, logging[x, a], target[x, a], MODEL[x, a], (target[x] * MODEL[x]).sum())))
    logs = []
    for drawn in itertools.product(outcomes, repeat=rows):
        r, p, t, q, qt = np.array([one for _, one in drawn], dtype=np.float64).T
        logs.append((float(np.prod([one for one, _ in drawn])), Logged(r, p, t, q_logged=q, q_target=qt)))
    return logs


def expectations(logging: Floats, target: Floats) -> dict[str, tuple[float, float, float]]:
    """Return by estimator its mean, its variance and its mean squared standard error over all logs of ROWS decisions."""
    chances, values, squares = [], [], []
    for chance, logged in enumerate_logs(logging, target, ROWS):
        made = estimate_all(logged, clip=CLIP, switch=CLIP, replicates=0)
        chances.append(chance)
        values.append([one.estimate for one in made])
        squares.append([one.se**2 for one in made])
    p, v, s = np.array(chances), np.array(values), np.array(squares)
    assert p.sum() == pytest.approx(1, abs=1e-12)
    mean = p @ v
    return {one.estimator: (float(mean[i]), float(p @ (v[:, i] - mean[i]) ** 2), float(p @ s[:, i])) for i, one in enumerate(made)}


def test_ips_and_dr_are_unbiased_and_so_are_their_squared_errors() -> None:
    """Over every log that can happen, IPS and DR average to the true value, even with a wrong model, and se^2 to their variance."""
    exact = expectations(LOGGING, TARGET)
    for name in ("ips", "dr"):
        mean, variance, squared_error = exact[name]
        assert mean == pytest.approx(VALUE, abs=1e-12)
        assert squared_error == pytest.approx(variance, rel=1e-9)
    assert exact["on_log"][0] == pytest.approx((CONTEXT[:, None] * LOGGING * CHANCE).sum(), abs=1e-12)


def test_biased_estimators_have_the_bias_that_they_state() -> None:
    """Clipped IPS, DM and Switch-DR average to their own closed forms, not to the true value."""
    exact = expectations(LOGGING, TARGET)
    w = TARGET / LOGGING
    rows = CONTEXT[:, None] * LOGGING
    clipped = float((rows * np.minimum(w, CLIP) * CHANCE).sum())
    direct = float((CONTEXT[:, None] * TARGET * MODEL).sum())
    switch = direct + float((rows * np.where(w <= CLIP, w * (CHANCE - MODEL), 0)).sum())
    for name, want in (("clipped_ips", clipped), ("dm", direct), ("switch_dr", switch)):
        assert exact[name][0] == pytest.approx(want, abs=1e-12)
        assert abs(want - VALUE) > 0.01


def test_without_support_ips_misses_exactly_what_was_never_tried() -> None:
    """Where the log never takes an action, IPS is short of the true value by what that action earns under the target."""
    logging = np.array([[0.0, 1.0], [0.8, 0.2]])
    lost = CONTEXT[0] * TARGET[0, 0] * CHANCE[0, 0]
    assert expectations(logging, TARGET)["ips"][0] == pytest.approx(VALUE - lost, abs=1e-12)


def test_self_normalised_estimates_come_close_to_the_value_as_rows_grow() -> None:
    """SNIPS and SNDR are biased in small logs and less so in larger ones."""
    small = {name: abs(mean - VALUE) for name, (mean, _, _) in expectations(LOGGING, TARGET).items()}
    total = {"snips": 0.0, "sndr": 0.0}
    for chance, logged in enumerate_logs(LOGGING, TARGET, 1):
        for one in estimate_all(logged, replicates=0):
            if one.estimator in total:
                total[one.estimator] += chance * one.estimate
    for name, mean in total.items():
        assert small[name] < abs(mean - VALUE)


def _log(seed: int, n: int, **more: object) -> Logged:
    dice = np.random.default_rng(seed)
    return Logged(dice.gamma(1, 5, n), dice.uniform(0.05, 1, n), dice.uniform(0, 1, n), **more)  # type: ignore[arg-type]


SEEDS = st.integers(0, 10_000)


@settings(deadline=None, max_examples=40)
@given(SEEDS)
def test_target_equal_to_logging_is_the_plain_mean(seed: int) -> None:
    """With weights of 1, IPS, SNIPS and clipped IPS are the mean of the rewards with its usual standard error."""
    some = _log(seed, 40)
    same = Logged(some.reward, some.logged_probability, some.logged_probability)
    for one in estimate_all(same, replicates=0):
        assert one.estimate == pytest.approx(some.reward.mean(), rel=1e-12)
        assert one.se == pytest.approx(some.reward.std(ddof=1) / np.sqrt(40), rel=1e-9)
        assert one.difference == pytest.approx(0, abs=1e-12)
        assert one.difference_se == pytest.approx(0, abs=1e-7)


@settings(deadline=None, max_examples=40)
@given(SEEDS)
def test_order_of_rows_and_names_of_units_change_nothing(seed: int) -> None:
    """Permuted rows and renamed clusters give the same estimates and standard errors."""
    dice = np.random.default_rng(seed)
    some = _log(seed, 60, cluster=dice.integers(0, 20, 60))
    order = dice.permutation(60)
    assert some.cluster is not None
    moved = Logged(some.reward[order], some.logged_probability[order], some.target_probability[order], cluster=1000 - some.cluster[order])
    for a, b in zip(estimate_all(some, replicates=0), estimate_all(moved, replicates=0), strict=True):
        assert (a.estimate, a.se) == pytest.approx((b.estimate, b.se), rel=1e-9)


@settings(deadline=None, max_examples=40)
@given(SEEDS, st.floats(0.1, 10), st.floats(-5, 5))
def test_affine_changes_of_the_reward_behave(seed: int, scale: float, shift: float) -> None:
    """SNIPS follows a r + b exactly, IPS follows a r; a constant model turns SNDR into SNIPS."""
    some = _log(seed, 50)
    c = np.full(50, shift)
    moved = Logged(scale * some.reward + shift, some.logged_probability, some.target_probability, q_logged=c, q_target=c)
    scaled = Logged(scale * some.reward, some.logged_probability, some.target_probability)
    was, now, times = ({one.estimator: one for one in estimate_all(log, replicates=0)} for log in (some, moved, scaled))
    assert now["snips"].estimate == pytest.approx(scale * was["snips"].estimate + shift, rel=1e-9, abs=1e-9)
    assert now["snips"].se == pytest.approx(scale * was["snips"].se, rel=1e-7)
    assert times["ips"].estimate == pytest.approx(scale * was["ips"].estimate, rel=1e-9)
    assert now["sndr"].estimate == pytest.approx(now["snips"].estimate, rel=1e-9, abs=1e-9)


@settings(deadline=None, max_examples=40)
@given(SEEDS)
def test_a_person_counted_twice_is_still_one_person(seed: int) -> None:
    """Doubling every row inside its cluster changes neither estimates nor standard errors; without clusters the errors shrink."""
    some = _log(seed, 50)
    twice = [np.tile(column, 2) for column in (some.reward, some.logged_probability, some.target_probability)]
    both = np.tile(np.arange(50), 2)
    together = estimate_all(Logged(twice[0], twice[1], twice[2], cluster=both), replicates=0)
    apart = estimate_all(Logged(twice[0], twice[1], twice[2]), replicates=0)
    for one, same, fooled in zip(estimate_all(some, replicates=0), together, apart, strict=True):
        assert (one.estimate, one.se) == pytest.approx((same.estimate, same.se), rel=1e-9)
        assert fooled.se < one.se


def test_the_bootstrap_is_seeded_and_agrees_with_the_influence_function_in_bundles_too() -> None:
    """The same seed gives the same interval, another a near one, and 20,000 units in bundles give nearly the interval of theory."""
    some = _log(3, 20_000)
    first, again, other = (estimate_all(some, seed=seed)[2] for seed in (1, 1, 2))
    assert first == again
    assert first.bootstrap_ci_low != other.bootstrap_ci_low
    assert first.bootstrap_ci_low is not None
    assert first.bootstrap_ci_high is not None
    assert (first.bootstrap_ci_high - first.bootstrap_ci_low) / (first.ci_high - first.ci_low) == pytest.approx(1, abs=0.1)


@pytest.mark.skipif(not HILLSTROM.is_file(), reason=f"OFF-POLICY ON REAL CUSTOMERS DID NOT RUN: {HILLSTROM} is not there")
def test_always_mail_men_earns_what_that_arm_of_hillstrom_earned() -> None:
    """From 64,000 customers at a third each, SNIPS of one certain e-mail is its arm's mean with the usual standard error."""
    with gzip.open(HILLSTROM, "rt", encoding="utf-8") as lines:
        rows = list(csv.DictReader(lines))
    spend = np.array([float(row["spend"]) for row in rows])
    mens = np.array([row["segment"] == "Mens E-Mail" for row in rows])
    made = {one.estimator: one for one in estimate_all(Logged(spend, np.full(64_000, 1 / 3), mens * 1.0), replicates=0)}
    assert made["snips"].estimate == pytest.approx(30_311.69 / 21_307, rel=1e-9)
    assert made["snips"].se == pytest.approx(np.sqrt(315.21179886 / 21_307), rel=1e-4)
    assert made["ips"].estimate == pytest.approx(30_311.69 / 21_307, rel=0.01)


@pytest.mark.parametrize("better", [0.2, -0.2])
def test_the_relative_lift_says_what_the_difference_says(better: float) -> None:
    """Fieller's interval, with the covariance of both estimates from the same units, is on the same side of 0 as the difference's."""
    dice = np.random.default_rng(4)
    action = dice.integers(0, 2, 4_000)
    reward = (dice.random(4_000) < 0.3 + better * action).astype(np.float64)
    logged = Logged(reward, np.full(4_000, 0.5), np.where(action == 1, 0.9, 0.1))
    found = value_decisions(logged, action.astype(np.intp), ["a", "b"], Limits(), replicates=0)
    assert found["lift"] == pytest.approx(found["difference"] / found["on_log"].estimate)
    assert found["lift_ci_low"] < found["lift"] < found["lift_ci_high"]
    assert (found["lift_ci_low"] > 0) == (found["difference_ci_low"] > 0) == (better > 0)
