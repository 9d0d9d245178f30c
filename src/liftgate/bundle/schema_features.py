"""What may stand under a feature's `from:`: how events keep it fresh."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, StringConstraints, model_validator

from liftgate.bundle.duration import duration_text
from liftgate.bundle.field_types import DurationMs, Strict, refuse
from liftgate.bundle.schema_events import ReliabilityName
from liftgate.domain.feature import (
    BUCKETS_MS,
    LONGEST_HALF_LIFE_MS,
    LONGEST_MS,
    MOST_BUCKETS,
    SHORTEST_MS,
    STEPS,
    Aggregate,
    bucket_ms,
)

OnStale = Literal["default", "skip_model", "skip_offer"]
Signal = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$")]
"""A kind of event, or the name of a custom event."""
Told = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,127}\.[a-z][a-z0-9_]{0,63}$")]
"""A signal and one of its properties: `purchase.value`."""
Demanded = str | bool | int | float
MOST_EXACT = 256


class Bounds(Strict):
    """A number within bounds, both included."""

    min: float | None = Field(None, allow_inf_nan=False, description="At least.", examples=[50.0])
    max: float | None = Field(None, allow_inf_nan=False, description="At most.", examples=[100.0])

    @model_validator(mode="after")
    def _agree(self) -> Bounds:
        if self.min is None and self.max is None:
            raise refuse("holds no bound", "write `{min: 50}`, `{max: 100}` or both")
        if self.min is not None and self.max is not None and self.min > self.max:
            raise refuse(f"no number is at least {self.min:g} and at most {self.max:g}", "exchange the two")
        return self


AGGREGATES: tuple[Aggregate, ...] = ("count", "sum", "mean", "rate", "last", "first", "recency", "distinct")
_WITHOUT_DECAY = ("last", "first", "recency", "distinct")
_AGED_EXACTLY = ("last", "first", "recency")


def _distrusted() -> list[ReliabilityName]:
    return ["unreliable", "bot"]


class FeatureSource(Strict):
    """Which events make a feature, and what is made of them."""

    count: Signal | None = Field(None, description="How many such events.", examples=["product_view"])
    sum: Told | None = Field(None, description="Sum of a property.", examples=["purchase.value"])
    mean: Told | None = Field(None, description="Mean of a property, over the events that have it.", examples=["purchase.value"])
    rate: Signal | None = Field(None, description="How many such events for each one of `per`.", examples=["click"])
    per: Signal | None = Field(None, description="With rate: the events that it is per one of.", examples=["exposure"])
    last: Told | None = Field(None, description="A property of the latest event.", examples=["product_view.category"])
    first: Told | None = Field(None, description="A property of the first event in the window.", examples=["product_view.category"])
    recency: Signal | None = Field(None, description="How long ago the latest event was, in `unit`.", examples=["purchase"])
    distinct: Told | None = Field(None, description="How many different values of a property.", examples=["click.offer"])
    window: DurationMs | None = Field(None, description="Rolling window, 1m to 90d, in whole buckets.", examples=["1h"])
    half_life: DurationMs | None = Field(
        None, description="Instead of a window: an event counts half as much after this time; 1m to 30d.", examples=["7d"]
    )
    where: dict[Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]{0,63}$")], Demanded | list[Demanded] | Bounds] = Field(
        default_factory=dict,
        description="Only events whose properties are so; an event without the property is not.",
        examples=[{"group": "shipping", "channel": ["web", "app"], "price": {"min": 50}}],
    )
    refuse: list[ReliabilityName] = Field(
        default_factory=_distrusted, description="Classes of reliability that do not count.", examples=[["bot"]]
    )
    exact_up_to: Annotated[int, Field(ge=1, le=MOST_EXACT)] | None = Field(
        None, description="With distinct: above it the number is an estimate; default 64.", examples=[64]
    )
    unit: Literal["s", "m", "h", "d"] | None = Field(None, description="With recency: seconds, minutes, hours or days.", examples=["d"])

    @property
    def aggregate(self) -> Aggregate:
        """What is made of the events."""
        return next(name for name in AGGREGATES if getattr(self, name) is not None)

    def check_age(self, max_age_ms: int) -> None:
        """Raise ValueError with the mend when values would be stale by the clock alone, their age being told to the bucket. In ms."""
        size = self.half_life // STEPS if self.half_life else bucket_ms(self.window or 0) or 0
        if self.aggregate not in _AGED_EXACTLY and max_age_ms < size:
            raise refuse(
                f"a max_age of {duration_text(max_age_ms)} is shorter than a bucket ({duration_text(size)}), to which the age is told",
                f"write `max_age: {duration_text(size)}` or longer, or a shorter window",
            )

    @model_validator(mode="after")
    def _agree(self) -> FeatureSource:
        named = [name for name in AGGREGATES if getattr(self, name) is not None]
        if len(named) != 1:
            problem = f"names {' and '.join(named)}" if named else "says nothing of what is made of the events"
            raise refuse(problem, f"write one of {', '.join(AGGREGATES)}")
        for key, goes_with in (("per", "rate"), ("exact_up_to", "distinct"), ("unit", "recency")):
            if getattr(self, key) is not None and named[0] != goes_with:
                raise refuse(f"`{key}` goes with {goes_with}, not with {named[0]}", f"remove `{key}`")
        if named[0] == "rate" and self.per is None:
            raise refuse("a rate wants `per`", "write, for example, `{rate: click, per: exposure, window: 30d}`")
        if named[0] == "recency" and self.unit is None:
            raise refuse("a recency wants `unit`: s, m, h or d", "write, for example, `{recency: purchase, unit: d, window: 90d}`")
        if (self.window is None) == (self.half_life is None):
            raise refuse("wants one of `window` and `half_life`", "write, for example, `window: 30d`")
        if self.half_life is not None:
            self._decay(named[0])
        elif self.window is not None:
            _whole(self.window)
        return self

    def _decay(self, aggregate: str) -> None:
        if aggregate in _WITHOUT_DECAY:
            raise refuse(f"`half_life` does not go with {aggregate}", "write `window` instead")
        if self.half_life is not None and not SHORTEST_MS <= self.half_life <= LONGEST_HALF_LIFE_MS:
            raise refuse(f"a half-life of {duration_text(self.half_life)} is out of range", "write 1m to 30d")
        if self.half_life is not None and self.half_life % (STEPS * 1_000):
            raise refuse(f"a half-life of {duration_text(self.half_life)} is no multiple of {STEPS} s", "write whole minutes")


def _whole(window_ms: int) -> None:
    if not SHORTEST_MS <= window_ms <= LONGEST_MS:
        raise refuse(f"a window of {duration_text(window_ms)} is out of range", "write 1m to 90d")
    if bucket_ms(window_ms) is None:
        size = next(size for size in BUCKETS_MS if window_ms / size <= MOST_BUCKETS)
        near = [duration_text(window_ms // size * size), duration_text((window_ms // size + 1) * size)]
        raise refuse(f"a window of {duration_text(window_ms)} is no whole number of buckets", f"write {near[0]} or {near[1]}")
