"""How well a score ranks people by what the treatment does to them, from a randomised experiment."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
from scipy import stats

from liftgate.measure.refusal import Refusal, several

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Flags = NDArray[np.bool_]
    Integers = NDArray[np.intp]

MIN_ARM = 100
"""Fewer people than this in either arm are refused."""
ARM_BY_SCORE = 1e-3
"""A p-value below this says that the arm depends on the score."""

_CELLS = 500_000
"""People drawn at once in the bootstrap."""

DEFINITION = (
    "People are ordered by score, high first; equal scores are one step. After k people: Q(k) = Y_t - Y_c n_t / n_c, divided by all "
    "treated people, so that the curve ends at the average effect; 0 for the second term where n_c is 0. Qini = area between that curve "
    "and the straight line to its end, over the share of people (0 to 1). AUUC = area under (Y_t / n_t - Y_c / n_c) k / n. Both are in "
    "units of the outcome a person; Qini of a random order is 0. p_value: two-sided, of a Qini of 0, normal with the bootstrap's se"
)


@dataclass(frozen=True, slots=True)
class Interval:
    """An estimate, the standard error and interval of stratified bootstrap samples."""

    estimate: float
    se: float
    ci_low: float
    ci_high: float


@dataclass(frozen=True, slots=True)
class Effect:
    """The effect among some of the people: difference of means with a Welch interval; NaN where an arm has fewer than two."""

    share: float
    """Share of all people reached, ties included."""
    n_treated: int
    n_control: int
    mean_treated: float
    mean_control: float
    effect: float
    se: float
    ci_low: float
    ci_high: float


@dataclass(frozen=True, slots=True)
class Uplift:
    """What a ranking is worth."""

    n_treated: int
    n_control: int
    qini: Interval
    qini_p: float
    """Two-sided, of a Qini of 0 (the score ranks people no better than lots), normal with the bootstrap's standard error."""
    auuc: Interval
    auuc_random: float
    """AUUC of a random order: half the average effect."""
    average_effect: Effect
    at: list[Effect]
    """Uplift among the best k of people, one entry a k asked for."""
    deciles: list[Effect]
    """Tenths of the people by score, the best first; equal scores stay together, so there may be fewer than ten."""
    curve: list[tuple[float, float]]
    """(share of people, Q) at no more than 101 steps."""


def judge(score: Floats, treated: Flags, outcome: Floats) -> Refusal | None:
    """Return why this table is not judged, or None."""
    for name, column in (("score", score), ("outcome", outcome)):
        if bad := int((~np.isfinite(column)).sum()):
            return Refusal(
                "not_a_number",
                f"{several(bad, 'row has', 'rows have')} a {name} that is missing, NaN or infinite, of {len(column):,}",
                "a missing outcome of somebody who was assigned is 0 once its window has closed; score everybody",
            )
    for arm, n in (("treated", int(treated.sum())), ("control", int((~treated).sum()))):
        if n < MIN_ARM:
            return Refusal(
                "too_few_units",
                f"the {arm} arm holds {n} people; at least {MIN_ARM} are needed",
                "check --arm, --control and --where, or collect longer",
            )
    if np.ptp(score) == 0:
        return Refusal("zero_variance", f"every score is {score[0]:g}: there is no order to judge", "check the score column")
    if np.ptp(outcome) == 0:
        return Refusal("zero_variance", f"every outcome is {outcome[0]:g}: there is nothing to compare", "check the outcome column")
    p = float(stats.mannwhitneyu(score[treated], score[~treated], method="asymptotic").pvalue)
    if p < ARM_BY_SCORE:
        return Refusal(
            "arm_depends_on_score",
            f"treated people have other scores than the control (Mann-Whitney p = {p:.1g}): the arms were not drawn regardless of the "
            "score, or the score knows what happened after the assignment",
            "use an experiment randomised over everybody and a score made from data before the assignment",
        )
    return None


def measure(
    score: Floats,
    treated: Flags,
    outcome: Floats,
    *,
    at: tuple[float, ...] = (0.1, 0.2, 0.3),
    level: float = 0.95,
    replicates: int = 500,
    seed: int = 0,
) -> Uplift:
    """Return the measures for people that `judge` has passed; `at` are shares of people in (0, 1]."""
    order = np.argsort(-score, kind="stable")
    score, treated, outcome = score[order], treated[order], outcome[order]
    ends = np.append(np.flatnonzero(np.diff(score)), len(score) - 1)
    t = treated.astype(np.float64)
    columns = np.column_stack([t, t * outcome, 1 - t, (1 - t) * outcome])
    share, q, auuc = curves(columns, ends)
    drawn = _bootstrap(columns, treated, ends, replicates, seed)
    qini_low, auuc_low = np.quantile(drawn, (1 - level) / 2, axis=0)
    qini_high, auuc_high = np.quantile(drawn, (1 + level) / 2, axis=0)
    qini_se, auuc_se = drawn.std(axis=0, ddof=1)
    n = len(score)
    cuts = [int(ends[np.searchsorted(ends, max(np.ceil(k * n), 1) - 1)]) + 1 for k in at]
    bounds = np.unique([0, *(int(ends[np.searchsorted(ends, np.ceil(n * k / 10) - 1)]) + 1 for k in range(1, 11))])
    steps = np.unique(np.linspace(0, len(share) - 1, 101).astype(np.intp))
    everybody = _effect(treated, outcome, n, level)
    worth = Interval(float(qini(share, q)), float(qini_se), float(qini_low), float(qini_high))
    return Uplift(
        n_treated=int(treated.sum()),
        n_control=int((~treated).sum()),
        qini=worth,
        qini_p=float(2 * stats.norm.sf(abs(worth.estimate) / worth.se)) if worth.se > 0 else float("nan"),
        auuc=Interval(float(area(share, auuc)), float(auuc_se), float(auuc_low), float(auuc_high)),
        auuc_random=everybody.effect / 2,
        average_effect=everybody,
        at=[_effect(treated[:cut], outcome[:cut], n, level) for cut in cuts],
        deciles=[_effect(treated[a:b], outcome[a:b], n, level) for a, b in pairwise(bounds)],
        curve=[(float(share[i]), float(q[i])) for i in steps],
    )


def curves(columns: Floats, ends: Integers) -> tuple[Floats, Floats, Floats]:
    """Return the share of people, the Qini curve and the uplift curve at 0 and after each group of equal scores.

    `columns` are (treated, treated outcome, control, control outcome), a person in order or a group of equal scores, last but one axis;
    axes before that are resamples.
    """
    n_t, y_t, n_c, y_c = np.moveaxis(np.cumsum(columns, axis=-2)[..., ends, :], -1, 0)
    n = n_t + n_c
    with np.errstate(divide="ignore", invalid="ignore"):
        q = y_t - np.where(n_c > 0, y_c * n_t / n_c, 0.0)
        lift = np.where(n_t > 0, y_t / n_t, 0.0) - np.where(n_c > 0, y_c / n_c, 0.0)
    start = np.zeros((*n.shape[:-1], 1))
    return (
        np.concatenate([start, n / n[..., -1:]], axis=-1),
        np.concatenate([start, q / n_t[..., -1:]], axis=-1),
        np.concatenate([start, lift * n / n[..., -1:]], axis=-1),
    )


def area(share: Floats, curve: Floats) -> Floats:
    """Return the area under the curve by trapezoids, along the last axis."""
    return np.asarray(np.trapezoid(curve, share, axis=-1), dtype=np.float64)


def qini(share: Floats, q: Floats) -> Floats:
    """Return the area between the Qini curve and the straight line to its end, along the last axis."""
    return area(share, q) - q[..., -1] / 2


def _bootstrap(columns: Floats, treated: Flags, ends: Integers, replicates: int, seed: int) -> Floats:
    """Return replicates by (qini, auuc); people are drawn again within each arm, so that both keep their size."""
    dice = np.random.default_rng([seed, 3])  # noqa: TID251
    starts = np.zeros(len(treated), dtype=np.intp)
    starts[ends[:-1] + 1] = 1
    group, k = np.cumsum(starts), len(ends)
    at_once = max(1, _CELLS // len(treated))
    made = np.empty((replicates, 2))
    for done in range(0, replicates, at_once):
        size = min(at_once, replicates - done)
        sums = np.empty((size, k, 4))
        for side, arm in ((0, np.flatnonzero(treated)), (2, np.flatnonzero(~treated))):
            drawn = arm[dice.integers(0, len(arm), size=(size, len(arm)))]
            place = (group[drawn] + np.arange(size)[:, None] * k).ravel()
            outcome = columns[:, side + 1][drawn].ravel()
            sums[..., side] = np.bincount(place, minlength=size * k).reshape(size, k)
            sums[..., side + 1] = np.bincount(place, weights=outcome, minlength=size * k).reshape(size, k)
        share, q, auuc = curves(sums, np.arange(k))
        made[done : done + size] = np.column_stack([qini(share, q), area(share, auuc)])
    return made


def _effect(treated: Flags, outcome: Floats, people: int, level: float) -> Effect:
    a, b = outcome[treated], outcome[~treated]
    mean_a, mean_b = (float(side.mean()) if len(side) else float("nan") for side in (a, b))
    effect, se, low, high = mean_a - mean_b, float("nan"), float("nan"), float("nan")
    if min(len(a), len(b)) > 1:
        v_a, v_b = float(a.var(ddof=1)) / len(a), float(b.var(ddof=1)) / len(b)
        se = float(np.sqrt(v_a + v_b))
        if se > 0:
            df = (v_a + v_b) ** 2 / (v_a**2 / (len(a) - 1) + v_b**2 / (len(b) - 1))
            half = float(stats.t.isf((1 - level) / 2, df)) * se
            low, high = effect - half, effect + half
    return Effect(len(outcome) / people, len(a), len(b), mean_a, mean_b, effect, se, low, high)
