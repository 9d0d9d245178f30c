"""What a bundle says about holding offers back and about running guardrails in shadow."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, ConfigDict, Field, RootModel

from liftgate.bundle.field_types import Channel, DurationMs, Name, Strict, refuse

GUARDRAILS = ("consent", "review", "eligibility", "suppression", "lists", "quiet_hours", "exclusions", "pauses", "contact_policy", "caps")
"""Guardrails that can run in shadow."""
ShadowSection = Literal["eligible_if", "applicable_if", "suitable_if", "suppress_if", "pauses", "caps"]
"""Keys of groups and offers that can run in shadow."""


class GuardrailMode(RootModel[Literal["enforce", "shadow"]]):
    """How a guardrail runs, over the whole bundle."""

    model_config = ConfigDict(strict=True, frozen=True)

    root: Literal["enforce", "shadow"] = Field(description="shadow: it says what it would deny, and denies nothing.", examples=["shadow"])


class ListRule(Strict):
    """A do-not-contact list. Who is on it stands in the store."""

    channels: Annotated[list[Channel], Field(min_length=1)] | None = Field(
        None, description="Holds back on these channels; absent: on all.", examples=[["email"]]
    )
    offers: Annotated[list[Name], Field(min_length=1)] | None = Field(None, description="Holds back these offers.", examples=[["loan"]])
    groups: Annotated[list[Name], Field(min_length=1)] | None = Field(
        None, description="Holds back the offers of these groups; neither `offers` nor `groups`: everything.", examples=[["credit"]]
    )


def _minute_of_day(text: str) -> str:
    hours, colon, minutes = text.partition(":")
    digits = len(hours) == len(minutes) == 2 and hours.isascii() and minutes.isascii() and hours.isdigit() and minutes.isdigit()
    if not colon or not digits or not (0 <= int(hours) < 24 and 0 <= int(minutes) < 60):
        raise refuse(f"{text!r} is no time of day", 'write hours and minutes, for example "21:00"')
    return text


TimeOfDay = Annotated[str, AfterValidator(_minute_of_day)]
"""`HH:MM`, 00:00 to 23:59."""


class QuietHours(Strict):
    """Hours of the person's own clock in which nothing is shown to them."""

    starts: TimeOfDay = Field(alias="from", description="First minute, on the person's clock.", examples=["21:00"])
    ends: TimeOfDay = Field(
        alias="to", description="First minute after the last; earlier than `from`: on the next day.", examples=["08:00"]
    )
    channels: Annotated[list[Channel], Field(min_length=1)] | None = Field(
        None, description="Channels that keep quiet; absent: all.", examples=[["email", "push"]]
    )


class ExclusionRule(Strict):
    """Offers or groups of which a person gets only one within a time: who was chosen one is not offered the others."""

    offers: list[Name] = Field(default_factory=list, description="Offers that exclude one another.", examples=[["loan", "card"]])
    groups: list[Name] = Field(
        default_factory=list, description="Groups that exclude one another, not the offers within them.", examples=[["credit", "savings"]]
    )
    within: DurationMs = Field(description="How long after a choice the others are held back.", examples=["30d"])
