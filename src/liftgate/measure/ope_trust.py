"""Whether an off-policy estimate may be trusted: diagnostics of the weights, and the refusals."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from liftgate.measure.refusal import Refusal, several

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from liftgate.measure.ope import Logged

    Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Limits:
    """Below or beyond these an estimate is refused."""

    min_ess_share: float = 0.01
    min_ess: float = 100.0
    mean_weight_tolerance: float = 0.05
    """A mean weight further than this from 1 is refused when it is also further than mean_weight_errors standard errors."""
    mean_weight_errors: float = 3.0
    min_units: int = 30
    min_events: float = 10.0
    """Effective number of decisions with a reward other than 0."""
    max_unsupported: float = 1e-9
    """Mean probability on actions that the log could not take."""


@dataclass(frozen=True, slots=True)
class Diagnostics:
    """What the weights look like; `ess` is (sum w)^2 / sum w^2."""

    n: int
    units: int
    ess: float
    ess_share: float
    ess_rewarded: float
    """The same among decisions with a reward other than 0."""
    max_weight: float
    mean_weight: float
    mean_weight_se: float
    top_1_percent_share: float
    """Share of the sum of weights in the largest 1 % of them (at least one)."""
    clipped_share: float
    """Share of decisions whose weight is above the clip."""
    unsupported: float | None


@dataclass(frozen=True, slots=True)
class ActionSupport:
    """How one action is covered; `target_share` is its estimated probability under the target policy."""

    action: str
    n: int
    logged_share: float
    target_share: float
    ess: float
    smallest_logged_probability: float


def judge_columns(logged: Logged) -> Refusal | None:
    """Return why the columns cannot be used at all, before any number is made of them."""
    return judge_faults(faults(logged), len(logged.reward))


def faults(logged: Logged) -> dict[tuple[str, str], int]:
    """Return how many rows of each column are no finite numbers, 0 or outside 0 to 1, where that must not be."""
    named = {
        "reward": logged.reward,
        "logged probability": logged.logged_probability,
        "target probability": logged.target_probability,
        "q_logged": logged.q_logged,
        "q_target": logged.q_target,
        "unsupported probability": logged.unsupported,
    }
    found = {("not finite", name): int((~np.isfinite(column)).sum()) for name, column in named.items() if column is not None}
    found["zero", "logged probability"] = int((logged.logged_probability == 0).sum())
    for name in ("logged probability", "target probability", "unsupported probability"):
        if (column := named[name]) is not None:
            found["outside", name] = int(((column < 0) | (column > 1 + 1e-9)).sum())
    return found


def judge_faults(found: Mapping[tuple[str, str], int], n: int) -> Refusal | None:
    """Return why columns of n rows with these faults cannot be used, or None."""
    if n == 0:
        return Refusal("no_rows", "the table holds no decisions", "check the file and the --where condition")
    for (kind, name), bad in found.items():
        if not bad:
            continue
        if kind == "not finite":
            return Refusal(
                "not_a_number",
                f"{several(bad, 'row has', 'rows have')} a {name} that is missing, NaN or infinite, of {n:,}",
                "mend or leave out those rows before the file is read; leaving out rows by their reward or action biases the answer",
            )
        if kind == "zero":
            return Refusal(
                "zero_logged_probability",
                f"{several(bad, 'logged decision has', 'logged decisions have')} a logged probability of 0: "
                "what happened cannot have had no chance",
                "log the probability of the final choice, after consent, eligibility, suppression and caps; 0 often means that it was "
                "computed before a rule or a fallback changed the choice",
            )
        return Refusal(
            "probability_out_of_range",
            f"{several(bad, 'row has', 'rows have')} a {name} outside 0 to 1",
            "give probabilities, not scores or percentages",
        )
    return None


def diagnose(logged: Logged, clip: float) -> Diagnostics:
    """Return the diagnostics of the weights."""
    w = logged.weight
    n = len(w)
    top = max(1, n // 100)
    total = float(w.sum())
    units = n if logged.cluster is None else len(np.unique(logged.cluster))
    return Diagnostics(
        n=n,
        units=units,
        ess=effective(w),
        ess_share=effective(w) / n,
        ess_rewarded=effective(w[logged.reward != 0]),
        max_weight=float(w.max()),
        mean_weight=total / n,
        mean_weight_se=_mean_error(w, logged.cluster),
        top_1_percent_share=float(np.partition(w, n - top)[n - top :].sum()) / total if total else 0.0,
        clipped_share=float((w > clip).mean()),
        unsupported=None if logged.unsupported is None else float(logged.unsupported.mean()),
    )


def effective(w: Floats) -> float:
    """Return the effective number of rows, (sum w)^2 / sum w^2; 0 where every weight is 0."""
    squares = float(w @ w)
    return float(w.sum()) ** 2 / squares if squares else 0.0


def judge(seen: Diagnostics, reward: Floats, limits: Limits) -> Refusal | None:
    """Return why no estimate is given, or None; the gravest reason first."""
    if seen.unsupported is not None and seen.unsupported > limits.max_unsupported:
        return Refusal(
            "missing_support",
            f"on average the target policy puts {seen.unsupported:.2%} of its probability on actions that the log could not take: "
            "nothing in the log says what they earn",
            "let the logging policy explore those actions first, or value a target that stays within what was explored",
        )
    if seen.mean_weight == 0:
        return Refusal(
            "missing_support",
            "the target policy would have taken none of the logged actions, so nothing here says what it earns",
            "collect decisions with exploration over the actions that the target takes",
        )
    off = seen.mean_weight - 1
    if abs(off) > limits.mean_weight_tolerance and abs(off) > limits.mean_weight_errors * seen.mean_weight_se:
        return _mean_weight_refusal(seen, off)
    if seen.ess_share < limits.min_ess_share or seen.ess < limits.min_ess:
        return Refusal(
            "low_ess",
            f"the weights leave {seen.ess:,.1f} effective decisions of {seen.n:,} ({seen.ess_share:.3%}); asked for are at least "
            f"{limits.min_ess:,.0f} and {limits.min_ess_share:.2%}. A few heavy rows would decide the answer, whatever the mean weight "
            f"({seen.mean_weight:.3f}) says",
            "explore more, collect longer, or value a target closer to the logging policy (for example a mixture of both)",
        )
    if seen.units < limits.min_units:
        return Refusal(
            "too_few_units",
            f"there are {seen.units} independent units; an interval needs at least {limits.min_units}",
            "collect decisions for more people",
        )
    if np.ptp(reward) == 0:
        return Refusal(
            "zero_variance",
            f"every reward is {reward[0]:g}: there is nothing to compare",
            "check the reward column and the outcome's attribution window",
        )
    if seen.ess_rewarded < limits.min_events:
        return Refusal(
            "too_few_events",
            f"decisions with a reward other than 0 count for {seen.ess_rewarded:.1f} after weighting; intervals need at least "
            f"{limits.min_events:.0f}",
            "collect longer, or value an outcome that happens more often (a click instead of a purchase)",
        )
    return None


def _mean_weight_refusal(seen: Diagnostics, off: float) -> Refusal:
    words = f"the mean weight is {seen.mean_weight:.3f} (s.e. {seen.mean_weight_se:.3f}) and should be 1."
    if off < 0:
        return Refusal(
            "missing_support",
            f"{words} About {-off:.0%} of what the target policy would do is not in the log, or the logged probabilities are too high",
            "compare the target's actions with those logged by action; explore what is missing, or mend the logged probabilities",
        )
    return Refusal(
        "mean_weight_off",
        f"{words} The logged probabilities are too low, or rows are missing or doubled",
        "check that the probability is that of the final choice and that every decision is in the table exactly once",
    )


def _mean_error(w: Floats, cluster: NDArray[np.generic] | None) -> float:
    if len(w) < 2:
        return float("inf")
    spread = w - w.mean()
    if cluster is not None:
        spread = np.bincount(np.unique(cluster, return_inverse=True)[1].ravel(), weights=spread)
        if len(spread) < 2:
            return float("inf")
    units = len(spread)
    return float(np.sqrt((spread @ spread) * units / (units - 1))) / len(w)


def support_by_action(logged: Logged, index: NDArray[np.intp], names: Sequence[str]) -> list[ActionSupport]:
    """Return how each logged action is covered, the largest share under the target first; `index` leads each decision to its name."""
    return supports(tallied(logged, index, len(names)), names, len(logged.reward))


def tallied(logged: Logged, index: NDArray[np.intp], k: int) -> list[tuple[int, float, float, float]]:
    """Return of each of k actions: decisions, sum of weights, sum of their squares, smallest logged probability."""
    w = logged.weight
    counts, sums = np.bincount(index, minlength=k), np.bincount(index, weights=w, minlength=k)
    squares = np.bincount(index, weights=w * w, minlength=k)
    smallest = np.full(k, np.inf)
    np.minimum.at(smallest, index, logged.logged_probability)
    return list(zip(counts.tolist(), sums.tolist(), squares.tolist(), smallest.tolist(), strict=True))


def supports(tally: Sequence[Sequence[float]], names: Sequence[str], n: int) -> list[ActionSupport]:
    """Return the support of each action of n decisions from its tally, the largest share under the target first."""
    rows = [
        ActionSupport(str(name), int(count), count / n, total / n, total**2 / squares if squares else 0.0, smallest)
        for name, (count, total, squares, smallest) in zip(names, tally, strict=True)
    ]
    return sorted(rows, key=lambda row: -row.target_share)
