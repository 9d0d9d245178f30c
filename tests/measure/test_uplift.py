"""Uplift: the curve by hand, ties, coverage, known truths and refusals."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from liftgate.measure.uplift import area, curves, judge, measure, qini

Floats = NDArray[np.float64]
RUNS = 500


def people(dice: np.random.Generator, n: int, steps: int = 20) -> tuple[Floats, NDArray[np.bool_], Floats]:
    """Return score, arm and outcome of a trial in which the effect is 0.2 times the score (a multiple of 1/steps)."""
    score = dice.integers(0, steps, n) / steps
    treated = dice.random(n) < 0.5
    return score, treated, (dice.random(n) < 0.2 + 0.2 * score * treated).astype(np.float64)


def by_hand(score: Floats, treated: NDArray[np.bool_], outcome: Floats) -> tuple[list[float], list[float]]:
    """Return the Qini curve by the definition, one loop over distinct scores."""
    share, q = [0.0], [0.0]
    for cut in sorted(set(score.tolist()), reverse=True):
        t, c = (score >= cut) & treated, (score >= cut) & ~treated
        second = outcome[c].sum() * t.sum() / c.sum() if c.any() else 0.0
        share.append(float((score >= cut).mean()))
        q.append(float((outcome[t].sum() - second) / treated.sum()))
    return share, q


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 10_000))
def test_the_curve_is_the_definition_and_order_of_rows_is_nothing(seed: int) -> None:
    """Curve and Qini equal a plain loop, end at the average effect, and neither permuted rows nor another scale of scores change them."""
    dice = np.random.default_rng(seed)
    score, treated, outcome = people(dice, 300, 7)
    got = measure(score, treated, outcome, replicates=2)
    share, q = by_hand(score, treated, outcome)
    np.testing.assert_allclose(got.curve, list(zip(share, q, strict=True)), atol=1e-12)
    trapezoids = sum((b - a) * (one + two) / 2 for (a, b), (one, two) in zip(pairwise(share), pairwise(q), strict=True))
    assert got.qini.estimate == pytest.approx(trapezoids - q[-1] / 2, abs=1e-12)
    assert q[-1] == pytest.approx(got.average_effect.effect, abs=1e-12)
    order = dice.permutation(300)
    moved = measure(np.exp(3 * score[order]), treated[order], outcome[order], replicates=2)
    assert moved.qini.estimate == pytest.approx(got.qini.estimate, abs=1e-12)
    assert [one.effect for one in moved.deciles] == pytest.approx([one.effect for one in got.deciles], abs=1e-12, nan_ok=True)


def test_one_step_of_equal_scores_is_a_straight_line() -> None:
    """All scores equal give Qini 0 whatever the order of rows; counting rows one by one would not."""
    dice = np.random.default_rng(1)
    treated = dice.random(1_000) < 0.5
    outcome = np.sort(dice.random(1_000))
    t = treated.astype(np.float64)
    columns = np.column_stack([t, t * outcome, 1 - t, (1 - t) * outcome])
    share, q, _ = curves(columns, np.array([999]))
    assert qini(share, q) == pytest.approx(0, abs=1e-15)
    share, q, _ = curves(columns, np.arange(1_000))
    assert abs(qini(share, q)) > 1e-3


def test_swapped_arms_and_a_reversed_score_change_signs() -> None:
    """The effect changes its sign with the arms; an order from worst to best has a Qini below 0."""
    score, treated, outcome = people(np.random.default_rng(2), 20_000)
    got = measure(score, treated, outcome)
    swapped = measure(score, ~treated, outcome)
    assert swapped.average_effect.effect == pytest.approx(-got.average_effect.effect, abs=1e-12)
    assert measure(-score, treated, outcome).qini.ci_high < 0 < got.qini.ci_low


def test_deciles_and_the_best_hold_the_people_that_they_say() -> None:
    """Deciles hold everybody once, equal scores stay together, uplift@k reaches at least k, uplift@1 is the average effect."""
    score, treated, outcome = people(np.random.default_rng(3), 5_000, 8)
    got = measure(score, treated, outcome, at=(0.1, 0.5, 1.0), replicates=2)
    assert sum(one.n_treated + one.n_control for one in got.deciles) == 5_000
    assert len(got.deciles) == 8
    assert [one.share >= k for one, k in zip(got.at, (0.1, 0.5, 1.0), strict=True)] == [True] * 3
    assert got.at[-1] == got.average_effect
    assert got.auuc_random == pytest.approx(got.average_effect.effect / 2)


def test_intervals_hold_the_true_qini_and_a_useless_score_is_not_praised() -> None:
    """The Qini interval holds the truth in 95 % of runs; a score of noise is found useful in about one run of 40."""
    dice = np.random.default_rng(4)
    steps = np.arange(20)[::-1] / 20
    share = np.concatenate([[0.0], np.arange(1, 21) / 20])
    curve = np.concatenate([[0.0], np.cumsum(0.2 * steps / 20)])
    truth = area(share, curve) - curve[-1] / 2
    held = praised = top = 0
    for run in range(RUNS):
        score, treated, outcome = people(dice, 600)
        got = measure(score, treated, outcome, at=(0.3,), replicates=150, seed=run)
        held += got.qini.ci_low <= truth <= got.qini.ci_high
        reached = score >= np.quantile(score, 1 - got.at[0].share)
        top += got.at[0].ci_low <= 0.2 * score[reached].mean() <= got.at[0].ci_high
        praised += measure(dice.permutation(score), treated, outcome, replicates=60, seed=run).qini.ci_low > 0
    half = 3.29 * np.sqrt(0.95 * 0.05 / RUNS)
    print(f"\n{RUNS} runs: Qini held {held / RUNS:.3f}, uplift@30 % {top / RUNS:.3f}; a useless score praised {praised / RUNS:.3f}")
    assert 0.95 - half - 0.02 <= held / RUNS <= 0.95 + half  # 150 replicates make percentiles a little narrow
    assert 0.95 - half <= top / RUNS <= 0.95 + half
    assert praised / RUNS <= 0.025 + 3.29 * np.sqrt(0.025 * 0.975 / RUNS) + 0.01


def test_the_p_value_of_a_score_that_foresees_buyers_alone_is_fair() -> None:
    """A score that foresees who buys and not whom the offer moves, with an effect alike for everybody: p below 0.05 in 5 % of runs."""
    dice = np.random.default_rng(6)
    rejected = 0
    for run in range(RUNS):
        score, treated = dice.random(600), dice.random(600) < 0.5
        outcome = (dice.random(600) < 0.1 + 0.4 * score + 0.1 * treated).astype(np.float64)
        rejected += measure(score, treated, outcome, replicates=150, seed=run).qini_p < 0.05
    print(f"\n{RUNS} runs of a score without uplift: p below 0.05 in {rejected / RUNS:.3f}")
    assert abs(rejected / RUNS - 0.05) <= 3.29 * np.sqrt(0.05 * 0.95 / RUNS)
    score, treated, outcome = people(dice, 20_000)
    assert measure(score, treated, outcome, replicates=100).qini_p < 1e-3


def test_what_cannot_be_judged_is_refused() -> None:
    """Each unusable trial has its code, and a usable one has none."""
    score, treated, outcome = people(np.random.default_rng(5), 2_000)
    bad = score.copy()
    bad[3] = np.nan
    knows = score + 0.2 * treated
    cases = [
        (judge(score, treated, outcome), None),
        (judge(bad, treated, outcome), "not_a_number"),
        (judge(score, treated, np.where(bad == bad, outcome, np.nan)), "not_a_number"),
        (judge(score, np.arange(2_000) < 50, outcome), "too_few_units"),
        (judge(score, np.arange(2_000) >= 50, outcome), "too_few_units"),
        (judge(np.ones(2_000), treated, outcome), "zero_variance"),
        (judge(score, treated, np.zeros(2_000)), "zero_variance"),
        (judge(knows, treated, outcome), "arm_depends_on_score"),
    ]
    for refusal, code in cases:
        assert (refusal.code if refusal else None) == code
