"""What may stand in a bundle about events: signals and how far to trust them, properties that are kept, when one is late."""

from __future__ import annotations

from typing import Literal

from pydantic import ConfigDict, Field, RootModel

from liftgate.bundle.field_types import DurationMs, Strict

ReliabilityName = Literal["reliable", "unreliable", "bot"]


class SignalRule(Strict):
    """A kind of event, or a custom event by its name; a custom event that is not named here is rejected."""

    reliability: ReliabilityName = Field(
        "reliable",
        description="How far it can be trusted to mean that the person did it. Features may refuse classes.",
        examples=["unreliable"],
    )


class EventProperty(Strict):
    """One typed property of events. Properties that are not declared are dropped and nowhere recorded."""

    type: Literal["int", "float", "bool", "string", "timestamp"] = Field(
        description="Type of the value; text of at most 256 bytes.", examples=["string"]
    )


class LateAfter(RootModel[DurationMs]):
    """Events told later than this after they happened are stored, marked as late, and part of no feature."""

    model_config = ConfigDict(strict=True, frozen=True)

    root: DurationMs = Field(examples=["7d"])


class EventsPolicy(Strict):
    """What holds for events of every kind."""

    late_after: LateAfter | None = Field(
        None,
        description="An event told later than this after it happened is stored, marked late, and part of no feature; absent: none is late.",
        examples=["7d"],
    )
