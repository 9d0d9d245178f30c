"""What may stand in a bundle about how often: caps, contact policies and pauses."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, ConfigDict, Field, RootModel, StringConstraints, model_validator

from liftgate.bundle.duration import PATTERN, duration_ms, duration_text
from liftgate.bundle.field_types import Channel, DurationMs, Strict, refuse

DEFAULT_LEASE_MS = duration_ms("10m")
MAX_CAP = 512
"""A person's or account's contact history holds no more entries than this, over all caps."""
MAX_TOTAL = 1_000_000_000
MAX_OUTCOMES = 16
PERIODS = ("hour", "day", "week", "month")
SHORTEST_PERIOD_MS = {"hour": 3_600_000, "day": 82_800_000, "week": 600_000_000, "month": 2_400_000_000}
"""Lower bounds, clocks that are set forward included."""
OUTCOMES = ("exposure", "click", "purchase", "dismiss", "unsubscribe", "complaint")

Counted = Literal["decision", "exposure", "click"]
Outcome = Literal["exposure", "click", "purchase", "dismiss", "unsubscribe", "complaint"]


def _per(value: Any) -> Any:
    if isinstance(value, str) and value in PERIODS:
        return value
    if not isinstance(value, str):
        raise refuse(f"wants text such as 7d or day, not {value!r}", "write, for example, 7d (rolling) or day (calendar)")
    try:
        return duration_ms(value)
    except ValueError as err:
        raise refuse(f"{value!r} {err}", "write, for example, 7d (rolling), or hour, day, week or month (calendar)") from None


Per = Annotated[
    int | Literal["hour", "day", "week", "month"],
    BeforeValidator(
        _per, json_schema_input_type=Annotated[str, StringConstraints(pattern=PATTERN)] | Literal["hour", "day", "week", "month"]
    ),
]
"""A rolling window in milliseconds, or the name of a calendar window."""


def per_text(per: int | str) -> str:
    """Return a window as it is written."""
    return per if isinstance(per, str) else duration_text(per)


class CapRule(Strict):
    """At most so many counted events in a window."""

    max: int = Field(ge=1, le=MAX_TOTAL, description="Counted events allowed in the window; 1 to 512 but for `scope: total`.", examples=[3])
    per: Per = Field(description="A rolling window (7d), or a calendar one: hour, day, week, month.", examples=["7d"])
    counts: Counted = Field(
        "decision",
        description="decision: counts when decided. exposure: held by a lease until an exposure is reported. click: counts when clicked.",
        examples=["exposure"],
    )
    lease: DurationMs | None = Field(
        None, description="With counts: exposure, how long a decision holds its place unexposed; default 10m.", examples=["10m"]
    )
    scope: Literal["person", "account", "total"] = Field(
        "person", description="Whose events count: the person's, the account's (household's), or everybody's.", examples=["account"]
    )
    zone: Literal["person", "bundle"] = Field(
        "bundle",
        description="Whose clock a calendar window follows: the request's context.time_zone, or the bundle's.",
        examples=["person"],
    )
    pace: Literal["even"] | None = Field(
        None, description="With scope: total and a calendar window: spread evenly over it.", examples=["even"]
    )
    when_unavailable: Literal["deny", "allow"] = Field(
        "deny", description="While the store is away: deny (a hard cap) or allow (a soft one).", examples=["allow"]
    )

    @model_validator(mode="after")
    def _agree(self) -> CapRule:
        if self.counts != "exposure" and self.lease is not None:
            raise refuse("`lease` goes with `counts: exposure`", "remove `lease`, or write `counts: exposure`")
        window_ms = SHORTEST_PERIOD_MS[self.per] if isinstance(self.per, str) else self.per
        if self.lease_ms > window_ms:
            raise refuse("the lease is longer than the window", "write a `lease` of at most `per` (the default is 10m)")
        if self.scope != "total" and self.max > MAX_CAP:
            raise refuse(
                f"`max` above {MAX_CAP} goes with `scope: total`",
                f"write a `max` of at most {MAX_CAP}, or `scope: total` for a budget of everybody together",
            )
        if self.zone == "person" and not isinstance(self.per, str):
            raise refuse("`zone` goes with a calendar window: a rolling one is the same everywhere", "remove `zone`, or write `per: day`")
        if self.zone == "person" and self.scope != "person":
            raise refuse(f"`zone: person` goes with `scope: person`: {self.scope} counts over several people", "remove `zone`")
        if self.pace is not None and (self.scope != "total" or not isinstance(self.per, str)):
            raise refuse("`pace` goes with `scope: total` and a calendar window, which has a beginning", "write `scope: total, per: day`")
        return self

    @property
    def lease_ms(self) -> int:
        """Milliseconds; 0 where exposures do not count."""
        if self.counts != "exposure":
            return 0
        return DEFAULT_LEASE_MS if self.lease is None else self.lease

    @property
    def sort(self) -> tuple[str, str, str, str]:
        """What kind of cap it is: two of one kind would count the same events."""
        return (self.counts, self.scope, self.zone, per_text(self.per))


class ContactRule(Strict):
    """At most so many contacts on one channel, over all offers."""

    max: int = Field(ge=1, le=MAX_CAP, description="Contacts allowed in the window, 1 to 512.", examples=[2])
    per: Per = Field(description="A rolling window (7d), or a calendar one: hour, day, week, month.", examples=["7d"])
    zone: Literal["person", "bundle"] = Field("bundle", description="Whose clock a calendar window follows.", examples=["person"])
    when_unavailable: Literal["deny", "allow"] = Field(
        "deny", description="While the store is away: deny (a hard cap) or allow (a soft one).", examples=["allow"]
    )

    @model_validator(mode="after")
    def _agree(self) -> ContactRule:
        if self.zone == "person" and not isinstance(self.per, str):
            raise refuse("`zone` goes with a calendar window: a rolling one is the same everywhere", "remove `zone`, or write `per: day`")
        return self


class PauseRule(Strict):
    """After so many outcomes, wait. A cool-down is a pause after one."""

    after: int = Field(1, ge=1, le=MAX_OUTCOMES, description="Outcomes that it takes, 1 to 16; default 1.", examples=[2])
    of: Outcome = Field(description="The outcome that counts.", examples=["dismiss"])
    within: DurationMs | None = Field(
        None, description="All of them within this time; needed where `after` is more than 1.", examples=["7d"]
    )
    lasts: DurationMs = Field(alias="for", description="How long the pause is, from the last of them.", examples=["30d"])
    scope: Literal["offer", "group", "channel"] = Field("offer", description="What is paused.", examples=["group"])
    when_unavailable: Literal["deny", "allow"] = Field(
        "deny", description="While the store is away: deny, or allow although it may be paused.", examples=["allow"]
    )

    @model_validator(mode="after")
    def _agree(self) -> PauseRule:
        if self.after > 1 and self.within is None:
            raise refuse(f"`after: {self.after}` needs `within`", "add, for example, `within: 7d`")
        if self.after == 1 and self.within is not None:
            raise refuse("`within` says nothing about a single outcome", "remove `within`, or write `after: 2`")
        return self


class ContactChannels(RootModel[dict[Channel, ContactRule]]):
    """By channel: how often, over all offers and the default."""

    model_config = ConfigDict(strict=True, frozen=True)

    root: dict[Channel, ContactRule] = Field(examples=[{"email": {"max": 2, "per": "7d"}}])


class ContactPolicy(Strict):
    """Rules over all offers of a channel."""

    channels: ContactChannels = Field(
        default_factory=lambda: ContactChannels({}),
        description="How often on each channel; one that is not named here has no limit.",
        examples=[{"email": {"max": 2, "per": "7d"}}],
    )
