"""What one arm of an experiment changes. Everything that it does not name is as it is for everybody."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from liftgate.bundle.field_types import Name, Strict
from liftgate.bundle.schema_candidates import Candidates
from liftgate.bundle.schema_select import Select

Worth = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Instead = Annotated[int, Field(ge=1)] | Name
"""Another version of the same model, or the name of another model in `models:`."""


class ArmChanges(Strict):
    """The keys of an arm that change something; an arm with none of them is a control."""

    select: Select | None = Field(
        None, description="Instead of the placement's `select`.", examples=[{"policy": "softmax", "temperature": 0.2}]
    )
    models: dict[Name, Instead] = Field(
        default_factory=dict,
        description="By name in `models:`: the version that scores instead, or the name of another model in `models:`.",
        examples=[{"purchase_7d": 4}],
    )
    offers: Candidates | None = Field(
        None,
        description="Candidate offers of the layer's placements for this arm: a list, `{groups: [...]}` or `all`; absent: the placement's.",
        examples=[["free-shipping", "welcome"]],
    )
    values: dict[Name, Worth] = Field(
        default_factory=dict, description="By offer: its worth for this arm, above 0.", examples=[{"free-shipping": 5.0}]
    )
    minimum_value: float | None = Field(
        None,
        ge=0,
        allow_inf_nan=False,
        description="Instead of the placement's `minimum_value`, in the bundle's currency; 0: no minimum.",
        examples=[0.05],
    )
    minimum_propensity: float | None = Field(
        None,
        ge=0,
        le=1,
        allow_inf_nan=False,
        description="Instead of the placement's `minimum_propensity`; 0: no minimum.",
        examples=[0.01],
    )
