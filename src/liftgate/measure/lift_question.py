"""What `liftgate measure lift` is asked: metrics, covariates and guardrail metrics in words, and the roles of the table's columns."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass

from liftgate.measure.contrast import Quantity
from liftgate.measure.refusal import Misused
from liftgate.measure.unit import ROW

_METRIC = re.compile(r"(?P<column>.+?)(?::(?P<kind>binary|mean|ratio:(?P<denominator>.+)))?")
_GUARDRAIL = re.compile(r"(?P<metric>.+),(?P<good>up|down),(?P<margin>[^,]+)")


@dataclass(frozen=True, slots=True)
class Metric:
    """One outcome a unit."""

    column: str
    kind: str
    """binary, mean, ratio, or "" where the values decide: binary if they are all 0 or 1, else mean."""
    denominator: str | None = None

    @property
    def quantity(self) -> Quantity:
        """What is estimated."""
        return Quantity(self.column, self.denominator)

    @property
    def label(self) -> str:
        """The metric for people."""
        return f"{self.column} / {self.denominator}" if self.denominator else self.column


@dataclass(frozen=True, slots=True)
class Guardrail:
    """A metric that may get worse by less than the margin."""

    metric: Metric
    good: str
    """up: more is better; down: less is."""
    margin: float
    """In units of the metric; above 0."""


@dataclass(frozen=True, slots=True)
class Question:
    """Everything that `lift` is told."""

    table: str
    unit: str
    arm: str
    control: str
    metrics: tuple[Metric, ...]
    guardrails: tuple[Guardrail, ...] = ()
    covariates: tuple[Metric, ...] = ()
    strata: tuple[str, ...] = ()
    segments: tuple[str, ...] = ()
    period: str = ""
    triggered: str = ""
    exposed: str = ""
    where: str = ""
    shares: tuple[str, ...] = ()
    """ARM=WEIGHT words, or ("unknown",)."""
    winsorise: float | None = None
    """Quantile of the values other than 0, pooled over arms, at which `mean` metrics are capped."""
    alpha: float = 0.05
    correction: str = "benjamini_hochberg"
    pairwise: bool = False
    """Whether treatment arms are held against each other, too."""

    def __post_init__(self) -> None:
        if not self.metrics and not self.guardrails:
            raise Misused("say what to compare: --metric COL")
        if not 0 < self.alpha < 1:
            raise Misused("--alpha is a number between 0 and 1, such as 0.05")
        if self.winsorise is not None and not 0 < self.winsorise < 1:
            raise Misused("--winsorise is a quantile between 0 and 1, such as 0.99")
        if self.correction not in ("benjamini_hochberg", "holm"):
            raise Misused("--correction is benjamini_hochberg or holm")

    @property
    def keys(self) -> tuple[str, ...]:
        """Text columns that say where a unit belongs, the arm first."""
        named = (self.arm, *self.strata, *self.segments, self.triggered, self.period)
        return tuple(dict.fromkeys(name for name in named if name))

    @property
    def outcomes(self) -> tuple[Metric, ...]:
        """Metrics and those of guardrails, each once."""
        return tuple(dict.fromkeys((*self.metrics, *(guardrail.metric for guardrail in self.guardrails))))

    def numbers(self) -> Iterator[str]:
        """Yield the columns that hold numbers."""
        for one in (*self.outcomes, *self.covariates):
            yield one.column
            if one.denominator:
                yield one.denominator
        if self.exposed:
            yield self.exposed

    def as_written(self) -> list[str]:
        """Return the columns to open as texts."""
        return [name for name in dict.fromkeys((self.unit, *self.keys, *self.numbers())) if name != ROW]


def metric_of(word: str, option: str = "--metric") -> Metric:
    """Read COL[:binary|mean|ratio:DEN]. Raises Misused."""
    found = _METRIC.fullmatch(word)
    if found is None:
        raise Misused(f"{option} {word!r} is not COL, COL:binary, COL:mean or COL:ratio:DENOMINATOR")
    return Metric(found["column"], (found["kind"] or "").partition(":")[0], found["denominator"])


def guardrail_of(word: str) -> Guardrail:
    """Read METRIC,up|down,MARGIN. Raises Misused."""
    found = _GUARDRAIL.fullmatch(word)
    try:
        margin = float(found["margin"]) if found else math.nan
    except ValueError:
        margin = math.nan
    if found is None or not 0 < margin < math.inf:
        raise Misused(f"--guardrail {word!r} is not METRIC,up|down,MARGIN, such as unsubscribed:binary,down,0.002")
    return Guardrail(metric_of(found["metric"], "--guardrail"), found["good"], margin)
