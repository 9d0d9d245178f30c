"""Intervals hold what they promise: seeded simulations of 2,000 experiments each, with a control arm that fails."""

from __future__ import annotations

import numpy as np

from liftgate.measure.contrast import Contrast, Quantity, contrast
from liftgate.measure.proportion import Count, newcombe
from liftgate.measure.statistic import Statistic

RUNS = 2_000
# Three standard errors of a share of 0.95 over RUNS.
LOW, HIGH = 0.935, 0.965


def _share(hits: list[bool], name: str) -> float:
    share = sum(hits) / len(hits)
    print(f"coverage of {name}: {share:.4f} over {len(hits)} runs")
    return share


def _experiment(dice: np.random.Generator, effect: float, n_t: int = 150, n_c: int = 60) -> tuple[Statistic, Statistic]:
    """Arms of unlike size and spread, whose outcome follows a covariate; true means 10 + effect and 10."""
    sides = []
    for n, shift, spread in ((n_t, effect, 1.0), (n_c, 0.0, 3.0)):
        x = dice.exponential(2.0, n)
        sides.append(Statistic.of_rows({"y": 10 + shift + 2 * (x - 2.0) + dice.normal(0, spread, n), "x": x}))
    return sides[0], sides[1]


def _holds(found: Contrast, truth: float) -> bool:
    return found.ci_low <= truth <= found.ci_high


def test_welch_and_cuped_cover() -> None:
    """95 % intervals hold the planted effect in 95 % of the runs, with the covariate and without, and CUPED's are narrower."""
    dice, plain, cuped, narrower = np.random.default_rng(1), [], [], []
    for _ in range(RUNS):
        t, c = _experiment(dice, 0.7)
        one, other = contrast([t], [c], Quantity("y")), contrast([t], [c], Quantity("y"), [Quantity("x")])
        plain.append(_holds(one, 0.7))
        cuped.append(_holds(other, 0.7))
        narrower.append(other.se < one.se)
    assert LOW < _share(plain, "Welch") < HIGH
    assert LOW < _share(cuped, "CUPED") < HIGH
    assert sum(narrower) > 0.95 * RUNS


def test_a_pooled_variance_would_not_cover() -> None:
    """The same runs with one variance for both arms miss: the simulation can tell a wrong interval from a right one."""
    dice, hits = np.random.default_rng(1), []
    for _ in range(RUNS):
        t, c = _experiment(dice, 0.7)
        pooled = (t.products[0, 0] + c.products[0, 0]) / (t.n + c.n - 2) * (1 / t.n + 1 / c.n)
        hits.append(abs(t.mean("y") - c.mean("y") - 0.7) <= 1.96 * float(pooled) ** 0.5)
    assert _share(hits, "pooled variance (wrong)") < LOW


def test_fieller_covers() -> None:
    """The relative lift's interval holds the planted lift in 95 % of the runs, where it is bounded or not."""
    dice, hits = np.random.default_rng(2), []
    for _ in range(RUNS):
        t, c = _experiment(dice, 0.7, 200, 200)
        lift = contrast([t], [c], Quantity("y")).relative
        hits.append(not lift.bounded or (lift.ci_low is not None and lift.ci_high is not None and lift.ci_low <= 0.07 <= lift.ci_high))
    assert LOW < _share(hits, "Fieller") < HIGH


def test_ratios_and_strata_cover() -> None:
    """A ratio of sums, and a mean within two strata, hold the truth in 95 % of the runs."""
    dice, ratio, strata = np.random.default_rng(3), [], []
    for _ in range(RUNS):
        sides = []
        for n, rate in ((200, 0.36), (150, 0.3)):
            d = dice.integers(1, 8, n).astype(np.float64)
            sides.append(
                Statistic.of_rows({"y": dice.binomial(d.astype(int), rate * dice.uniform(0.5, 1.5, n)).astype(np.float64), "d": d})
            )
        ratio.append(_holds(contrast([sides[0]], [sides[1]], Quantity("y", "d")), 0.06))
        parts = [
            [Statistic.of_rows({"y": dice.normal(mean, 2, n)}) for mean, n in arms] for arms in (((1.5, 90), (6.5, 50)), ((1, 20), (6, 50)))
        ]
        strata.append(_holds(contrast(parts[0], parts[1], Quantity("y")), 0.5))
    assert LOW < _share(ratio, "ratio") < HIGH
    assert LOW < _share(strata, "strata") < HIGH


def test_newcombe_covers_few_events() -> None:
    """With 3 expected events an arm, Newcombe's interval holds the truth in at least 93 % of the runs, and the plain one does not."""
    dice, good, plain = np.random.default_rng(4), [], []
    for _ in range(RUNS):
        t, c = Count(int(dice.binomial(60, 0.05)), 60), Count(int(dice.binomial(20, 0.05)), 20)
        low, high = newcombe(t, c)
        good.append(low <= 0 <= high)
        se = (t.share * (1 - t.share) / 60 + c.share * (1 - c.share) / 20) ** 0.5
        plain.append(abs(t.share - c.share) <= 1.96 * se)
    assert _share(good, "Newcombe") > 0.93
    assert _share(plain, "the plain interval (wrong)") < 0.93
