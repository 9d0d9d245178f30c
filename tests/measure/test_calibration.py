"""Calibration: the oracle's numbers, coverage of the intervals, verdicts and refusals."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest
from scipy.optimize import minimize
from scipy.special import expit, logit

from liftgate.measure.calibration import judge, logistic, measure, verdict

ORACLE = Path(__file__).parents[2] / "../shared/oracle/23_calibration.json"
with_oracle = pytest.mark.skipif(not ORACLE.is_file(), reason=f"THE ORACLE OF CALIBRATION DID NOT RUN: {ORACLE} is not there")
RUNS = 600


@with_oracle
def test_measures_equal_the_oracle() -> None:
    """Brier, log loss, both ECE and their bins, slope, intercept and observed/expected are the published ones."""
    case = json.loads(ORACLE.read_text())
    want, rtol = case["expected"], case["tolerance"]["rtol"]
    p, y = np.loadtxt(ORACLE.parent / case["inputs"]["csv"], delimiter=",", skiprows=1).T
    got = measure(p, y)
    assert got.slope is not None
    assert got.intercept is not None
    pairs = [
        (got.brier.estimate, want["brier"]),
        (got.log_loss.estimate, want["log_loss"]),
        (got.ece_equal_width, want["ece_10_equal_width"]),
        (got.max_gap_equal_width, want["mce_10_equal_width"]),
        (got.ece_quantile, want["ece_10_quantile"]),
        (got.slope.estimate, want["calibration_slope_intercept"][0]),
        (got.intercept.estimate, want["calibration_slope_intercept"][1]),
        (got.in_the_large, want["calibration_in_the_large"]),
        (got.observed_over_expected.estimate, want["observed_over_expected"]),
    ]
    for ours, theirs in pairs:
        assert ours == pytest.approx(theirs, rel=rtol)
    for bins, key in ((got.bins_equal_width, "bins_equal_width"), (got.bins_quantile, "bins_quantile")):
        assert [one.n for one in bins] == [one["n"] for one in want[key]]
        assert [one.mean_score for one in bins] == pytest.approx([one["mean_p"] for one in want[key]], rel=rtol)
        assert [one.rate for one in bins] == pytest.approx([one["rate"] for one in want[key]], rel=rtol)


def test_intervals_of_calibrated_scores_hold_the_truth() -> None:
    """Of calibrated scores the intervals hold 1, 0 and 1 in 95 % of runs, each test rejects 5 %, and ECE is near what chance gives."""
    dice = np.random.default_rng(23)
    held, passed, rejected = np.zeros(3), 0, np.zeros(3)
    eces = []
    for _ in range(RUNS):
        p = expit(dice.normal(-1, 1, 1_000))
        got = measure(p, (dice.random(1_000) < p).astype(np.float64))
        assert got.slope is not None
        assert got.intercept is not None
        three = ((got.slope, 1), (got.intercept, 0), (got.observed_over_expected, 1))
        held += [one.ci_low <= truth <= one.ci_high for one, truth in three]
        passed += verdict(got)[0]
        assert got.spiegelhalter is not None
        assert got.cox is not None
        rejected += [p <= 0.05 for p in (got.observed_over_expected_p, got.spiegelhalter.p_value, got.cox.p_value)]
        ratio = got.observed_over_expected
        assert (got.observed_over_expected_p < 0.05) is not (ratio.ci_low <= 1 <= ratio.ci_high)
        eces.append((got.ece_quantile, got.ece_quantile_by_chance))
    half = 3.29 * np.sqrt(0.95 * 0.05 / RUNS)
    print(f"\n{RUNS} runs of calibrated scores: slope {held[0] / RUNS:.3f}, intercept {held[1] / RUNS:.3f}, O/E {held[2] / RUNS:.3f} hold")
    print(f"  called calibrated {passed / RUNS:.3f}; mean ECE {np.mean(eces, axis=0)[0]:.4f}, by chance {np.mean(eces, axis=0)[1]:.4f}")
    print(f"  called wrong at 0.05 by observed/expected, Spiegelhalter's z and Cox's test: {rejected / RUNS}")
    assert np.all(np.abs(held / RUNS - 0.95) <= half)
    assert np.all(np.abs(rejected / RUNS - 0.05) <= half)
    assert passed / RUNS > 0.9
    mean, chance = np.mean(eces, axis=0)
    assert mean == pytest.approx(chance, rel=0.05)


def test_the_tests_of_all_scores_equal_their_formulas() -> None:
    """Spiegelhalter's z is the Brier score's distance from its expectation, row by row; Cox's test is that of a plain search."""
    dice = np.random.default_rng(29)
    p = expit(dice.normal(-1, 1, 500))
    y = (dice.random(500) < p**1.3).astype(np.float64)
    got = measure(p, y)
    assert got.spiegelhalter is not None
    assert got.cox is not None
    rows = [((a - b) ** 2 - a * (1 - a), (1 - 2 * a) ** 2 * a * (1 - a)) for a, b in zip(p.tolist(), y.tolist(), strict=True)]
    z = sum(one for one, _ in rows) / sum(each for _, each in rows) ** 0.5
    assert got.spiegelhalter.statistic == pytest.approx(z, rel=1e-12)
    assert got.spiegelhalter.p_value == pytest.approx(math.erfc(abs(z) / math.sqrt(2)), rel=1e-9)

    def loss(line: tuple[float, float]) -> float:
        shown = expit(line[0] + line[1] * logit(p))
        return -float(np.log(np.where(y == 1, shown, 1 - shown)).sum())

    gain = 2 * (loss((0, 1)) - minimize(loss, (0, 1), method="Nelder-Mead", options={"xatol": 1e-9, "fatol": 1e-12}).fun)
    assert got.cox.statistic == pytest.approx(gain, rel=1e-6)
    assert got.cox.p_value == pytest.approx(math.exp(-gain / 2), rel=1e-5)
    half = measure(np.full(100, 0.5), np.tile([0.0, 1.0], 50))
    assert (half.spiegelhalter, half.cox, half.observed_over_expected_p) == (None, None, 1.0)


@pytest.mark.parametrize("bend", [lambda x: x + 0.3, lambda x: 1.5 * x], ids=["too high", "overfitted"])
def test_scores_that_are_wrong_are_found_by_the_tests(bend: object) -> None:
    """2,000 rows with scores shifted by 0.3 or stretched by 1.5 on the logit scale: both tests reject both, Cox's clearly."""
    dice = np.random.default_rng(30)
    x = dice.normal(-1, 1, 2_000)
    got = measure(expit(bend(x)), (dice.random(2_000) < expit(x)).astype(np.float64))  # type: ignore[operator]
    assert got.spiegelhalter is not None
    assert got.cox is not None
    assert got.spiegelhalter.p_value < 0.05
    assert got.cox.p_value < 1e-3


@pytest.mark.parametrize(
    ("bend", "words"),
    [
        (lambda x: x + 0.5, "too high: "),
        (lambda x: x - 0.5, "too low: "),
        (lambda x: 2 * x, "overfitted"),
        (lambda x: x / 2, "close to the average"),
    ],
)
def test_each_way_to_be_wrong_is_named(bend: object, words: str) -> None:
    """Scores that are too high, too low, too extreme or too timid are not calibrated, and the verdict says which it is."""
    dice = np.random.default_rng(24)
    x = dice.normal(0, 1.5, 20_000)
    y = (dice.random(20_000) < expit(x)).astype(np.float64)
    calibrated, says = verdict(measure(expit(bend(x)), y))  # type: ignore[operator]
    assert not calibrated
    assert words in says


def test_a_real_but_small_miss_is_called_close() -> None:
    """With a million rows a factor of 1.03 is beyond chance and too small to matter."""
    dice = np.random.default_rng(25)
    p = dice.uniform(0.05, 0.5, 1_000_000)
    calibrated, says = verdict(measure(p, (dice.random(1_000_000) < 1.03 * p).astype(np.float64)))
    assert calibrated
    assert says.startswith("Close to calibrated")


def test_bins_hold_their_lower_edge() -> None:
    """A score on an edge falls into the bin above it, 1 into the last, and equal scores stay in one quantile bin."""
    p = np.array([0.0, 0.1, 0.3, 0.6, 0.7, 1.0] * 10)
    y = np.tile([0.0, 1.0], 30)
    got = measure(p, y)
    assert [round(one.low, 1) for one in got.bins_equal_width] == [0.0, 0.1, 0.3, 0.6, 0.7, 0.9]
    assert all(one.n == 10 for one in got.bins_equal_width)
    assert sum(one.n for one in got.bins_quantile) == 60
    assert all(one.n % 10 == 0 for one in got.bins_quantile)


def test_slope_is_left_out_where_there_is_none() -> None:
    """Scores that do not vary, or that separate the outcomes, have no finite slope."""
    y = np.tile([0.0, 1.0], 50)
    assert measure(np.full(100, 0.5), y).slope is None
    assert logistic(logit(np.where(y == 1, 0.9, 0.1)), y) is None


@pytest.mark.parametrize(
    ("score", "outcome", "code"),
    [
        ([], [], "no_rows"),
        ([0.5, np.nan], [0, 1], "not_a_number"),
        ([0.5, 0.4], [0, np.nan], "not_a_number"),
        ([0.5, 1.2], [0, 1], "score_out_of_range"),
        ([0.5, 0.2], [0, 2], "outcome_not_binary"),
        ([0.5] * 100, [0] * 90 + [1] * 10, "too_few_events"),
        ([0.5] * 100, [1] * 90 + [0] * 10, "too_few_events"),
    ],
)
def test_what_cannot_be_judged_is_refused(score: list[float], outcome: list[float], code: str) -> None:
    """Each unusable pair of columns has its code."""
    refusal = judge(np.array(score, dtype=np.float64), np.array(outcome, dtype=np.float64))
    assert refusal is not None
    assert refusal.code == code


def test_a_refusal_for_one_row_is_in_the_singular() -> None:
    """One row that cannot be judged is `1 row has`, two are `2 rows have`."""
    score, outcome = np.linspace(0.1, 0.9, 100), (np.arange(100) % 2).astype(np.float64)
    for lost, words in ((1, "1 row has a score that is missing"), (2, "2 rows have a score that is missing")):
        score[:lost] = np.nan
        refusal = judge(score, outcome)
        assert refusal is not None
        assert refusal.why.startswith(words)
