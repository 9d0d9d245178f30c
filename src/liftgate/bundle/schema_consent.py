"""What a bundle says about consent: purposes with their defaults, and the permission that a channel needs."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import ConfigDict, Field, RootModel, StringConstraints

from liftgate.bundle.field_types import NAME_PATTERN, Name, Strict

Jurisdiction = Annotated[str, StringConstraints(pattern=NAME_PATTERN, max_length=64)]
"""Named as callers send it and records hold it, such as `EU` or `US-CA`; compared as a whole, letter by letter."""


class Purpose(Strict):
    """Something that a person can consent to."""

    denied_by: list[Literal["gpc"]] = Field(default_factory=list, description="Signals that deny it.", examples=[["gpc"]])
    default: dict[Jurisdiction, Literal["allow", "deny"]] = Field(
        default_factory=dict,
        description="By jurisdiction: what holds where nothing is on record. Jurisdictions that are not named: no.",
        examples=[{"EU": "deny", "US": "allow"}],
    )


class ChannelPermission(RootModel[Name]):
    """The purpose that a decision on the channel needs, for every offer."""

    model_config = ConfigDict(strict=True, frozen=True)

    root: Name = Field(examples=["marketing_email"])
