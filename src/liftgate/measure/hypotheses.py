"""Hypotheses: what one is, how it is scored (ICE, PIE), how a backlog is ranked, and how good the guesses were. Pure.

A hypothesis file is read by `liftgate hypotheses`; this module holds its form and its arithmetic.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

ICE_FORMULA = "ICE = impact x confidence x ease (1 to 1000)"
PIE_FORMULA = "PIE = (potential + importance + ease) / 3 (1 to 10)"

ID_PATTERN = r"^[a-z0-9][a-z0-9-]{0,63}$"

Score = Annotated[int, Field(ge=1, le=10, examples=[5])]
Text = Annotated[str, Field(min_length=1, max_length=2000)]
Name = Annotated[str, Field(min_length=1, max_length=200)]
By = Literal["ice", "pie"]
Verdict = Literal["confirmed", "smaller than expected", "larger than expected", "opposite", "not shown"]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)


class Ice(_Strict):
    """How much, how sure, how easy: 1 (least) to 10 (most)."""

    impact: Score
    confidence: Score
    ease: Score

    @property
    def score(self) -> int:
        """Impact x confidence x ease, 1 to 1000."""
        return self.impact * self.confidence * self.ease

    @property
    def mean(self) -> float:
        """What some tools call ICE; it can rank differently."""
        return (self.impact + self.confidence + self.ease) / 3


class Pie(_Strict):
    """Room for improvement, worth of the traffic, ease: 1 (least) to 10 (most)."""

    potential: Score
    importance: Score
    ease: Score

    @property
    def score(self) -> float:
        """The mean of the three, 1 to 10."""
        return (self.potential + self.importance + self.ease) / 3


class Measured(_Strict):
    """What the experiment found, in the form of `expected_lift`: relative to control, 0.05 is 5 per cent."""

    lift: float
    ci_low: float | None = None
    """None: unbounded."""
    ci_high: float | None = None
    on: Annotated[str | None, Field(pattern=r"^\d{4}-\d{2}-\d{2}$", examples=["2026-11-22"])] = None
    """The day of the readout."""


class Hypothesis(_Strict):
    """One hypothesis, as its file says it."""

    id: Annotated[str, Field(pattern=ID_PATTERN, examples=["free-shipping-banner"])]
    """As the file is named."""
    what: Annotated[Text, Field(examples=["Show free shipping above the fold to new visitors"])]
    """The change, and for whom."""
    why: Annotated[Text, Field(examples=["4 of 10 leave the cart at the shipping costs"])]
    """The evidence or reasoning."""
    expected_lift: Annotated[float, Field(examples=[0.05])]
    """Relative to control: 0.05 is 5 per cent more."""
    metric: Annotated[Name, Field(examples=["purchase"])]
    owner: Annotated[Name, Field(examples=["ana"])]
    ice: Annotated[Ice | None, Field(examples=[{"impact": 8, "confidence": 5, "ease": 3}])] = None
    pie: Annotated[Pie | None, Field(examples=[{"potential": 7, "importance": 9, "ease": 3}])] = None
    experiment_id: Annotated[Name | None, Field(examples=["shipping-2026q4"])] = None
    n_star: Annotated[int | None, Field(ge=2, examples=[40000])] = None
    """N*: units of both arms at which the answer is wanted; frozen before the experiment starts."""
    measured: Annotated[Measured | None, Field(examples=[{"lift": 0.03, "ci_low": 0.01, "ci_high": 0.05}])] = None

    @property
    def stage(self) -> str:
        """Where it stands: idea, scored, running or measured."""
        if self.measured is not None:
            return "measured"
        if self.experiment_id is not None:
            return "running"
        return "scored" if self.ice or self.pie else "idea"


def ranked(backlog: Iterable[Hypothesis], by: By = "ice") -> tuple[Hypothesis, ...]:
    """Return the backlog, the best score first, those without this score last; ties by id."""

    def key(one: Hypothesis) -> tuple[float, str]:
        scored = one.ice if by == "ice" else one.pie
        return (-math.inf if scored is None else float(scored.score)), one.id

    return tuple(sorted(backlog, key=lambda one: (-key(one)[0], key(one)[1])))


@dataclass(frozen=True, slots=True)
class Learned:
    """One guess held against its measurement."""

    hypothesis: Hypothesis
    measured: Measured
    error: float
    """Expected minus measured lift: above 0, the guess was too high."""
    inside: bool | None
    """The interval holds the guess; None: no interval was kept."""
    verdict: Verdict


@dataclass(frozen=True, slots=True)
class Track:
    """How good the guesses of a backlog were."""

    learned: tuple[Learned, ...]
    mean_expected: float
    mean_measured: float
    optimism: float
    """Mean of expected minus measured: above 0, guesses run high."""
    right_direction: int
    inside: int
    """Guesses within their interval."""
    with_interval: int
    rank_agreement: float | None
    """Spearman between ICE and measured lift, -1 to 1: does the score find the winners? None below 3 scored, or without spread."""


def judge(hypothesis: Hypothesis) -> Learned | None:
    """Return the guess against the measurement; None: not measured yet."""
    measured = hypothesis.measured
    if measured is None:
        return None
    expected = hypothesis.expected_lift
    low = -math.inf if measured.ci_low is None else measured.ci_low
    high = math.inf if measured.ci_high is None else measured.ci_high
    known = measured.ci_low is not None or measured.ci_high is not None
    holds = low <= expected <= high
    verdict: Verdict
    if not known or low <= 0 <= high:
        verdict = "not shown"
    elif measured.lift * expected < 0:
        verdict = "opposite"
    elif holds:
        verdict = "confirmed"
    else:
        verdict = "smaller than expected" if abs(measured.lift) < abs(expected) else "larger than expected"
    return Learned(hypothesis, measured, expected - measured.lift, holds if known else None, verdict)


def track(backlog: Iterable[Hypothesis]) -> Track | None:
    """Return the record of all measured guesses, in order of id; None: nothing is measured yet."""
    learned = tuple(one for one in map(judge, sorted(backlog, key=lambda one: one.id)) if one is not None)
    if not learned:
        return None
    expected = [one.hypothesis.expected_lift for one in learned]
    measured = [one.measured.lift for one in learned]
    scored = [(float(one.hypothesis.ice.score), one.measured.lift) for one in learned if one.hypothesis.ice]
    return Track(
        learned,
        math.fsum(expected) / len(learned),
        math.fsum(measured) / len(learned),
        math.fsum(one.error for one in learned) / len(learned),
        sum(e * m > 0 for e, m in zip(expected, measured, strict=True)),
        sum(one.inside is True for one in learned),
        sum(one.inside is not None for one in learned),
        spearman(scored),
    )


def spearman(pairs: Sequence[tuple[float, float]]) -> float | None:
    """Return the rank correlation, ties at their mean rank; None below 3 pairs or where one side does not vary."""
    if len(pairs) < 3:
        return None
    left, right = (_ranks([pair[side] for pair in pairs]) for side in (0, 1))
    middle = (len(pairs) + 1) / 2
    a, b = [x - middle for x in left], [x - middle for x in right]
    spread = math.sqrt(math.fsum(x * x for x in a) * math.fsum(x * x for x in b))
    return math.fsum(x * y for x, y in zip(a, b, strict=True)) / spread if spread else None


def _ranks(values: Sequence[float]) -> list[float]:
    return [sum(other < value for other in values) + (sum(other == value for other in values) + 1) / 2 for value in values]
