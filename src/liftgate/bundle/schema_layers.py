"""What may stand in `layers:`: one pydantic model a kind of layer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints

from liftgate.bundle.field_types import Channel, ConditionText, Name, Share, Strict, TimestampMs
from liftgate.bundle.schema_arm import ArmChanges

Ablation = Literal["random_allowed", "propensity_only", "no_levers", "eligibility_only", "random_propensity"]
"""What an ablation arm leaves out."""
_Text = Annotated[str, StringConstraints(min_length=1, max_length=128)]
_Coverage = Annotated[
    Share, Field(description="Part of each arm's range that is in use; a ramp lets it grow and moves nobody.", examples=[0.1])
]


class ExclusiveRule(Strict):
    """A part of a namespace that experiments share, so that nobody is in two of them."""

    name: Name = Field(description="The namespace.", examples=["hero"])
    start: Share = Field(alias="from", description="Where the part begins, 0..1.", examples=[0.0])
    to: Share = Field(description="Where it ends, 0..1.", examples=[0.5])


class ArmRule(ArmChanges):
    """One arm of an experiment: its range, and what it changes."""

    share: Share = Field(description="Part of the layer's units that the arm owns, 0..1 in steps of one millionth.", examples=[0.5])
    start: Share | None = Field(
        None, alias="from", description="Where its range begins, 0..1; absent: where the arm written before it ends.", examples=[0.5]
    )


class AblationArmRule(Strict):
    """One arm of an ablation: its range. What it leaves out is its name."""

    share: Share = Field(description="Part of the layer's units that the arm owns, 0..1 in steps of one millionth.", examples=[0.02])
    start: Share | None = Field(
        None, alias="from", description="Where its range begins, 0..1; absent: where the arm written before it ends.", examples=[0.02]
    )


def _arm(value: Any) -> Any:
    return {"share": value} if isinstance(value, (int, float)) and not isinstance(value, bool) else value


class LayerRule(Strict):
    """What layers of every kind have in common."""

    unit: Literal["person", "account", "session", "visitor"] = Field(
        "person", description="What is randomised; requests that do not name it are not in the layer.", examples=["person"]
    )
    salt: _Text = Field(description="Namespace of the randomness; no two layers may share one.", examples=["universal-2026h2"])
    phase: int = Field(1, ge=1, le=1_000_000, description="Raised by one to draw everybody afresh.", examples=[2])
    starts_at: TimestampMs | None = Field(None, alias="from", description="First moment.", examples=["2026-11-01T00:00:00Z"])
    until: TimestampMs | None = Field(None, description="First moment after the last.", examples=["2027-01-01T00:00:00Z"])
    placements: Annotated[list[Name], Field(min_length=1)] | None = Field(
        None, description="Placements that it concerns; absent: all.", examples=[["home.hero"]]
    )
    channels: Annotated[list[Channel], Field(min_length=1)] | None = Field(
        None, description="Channels of requests that it concerns; absent: all.", examples=[["web"]]
    )
    owner: _Text | None = Field(None, description="Who answers for it.", examples=["growth"])
    hypothesis: Name | None = Field(None, description="What it is to show: a key of the hypotheses file.", examples=["H-012"])
    metric: Name | None = Field(None, description="The metric that decides it.", examples=["purchase"])
    n_star: int | None = Field(
        None, ge=1, le=10**12, description="Units at which its analysis is tightest, all arms together.", examples=[40000]
    )


class HoldoutRule(LayerRule):
    """A stable group that is measured and not treated: of everything, or of some groups and offers."""

    kind: Literal["holdout"] = Field(description="Who is in it is not treated.", examples=["holdout"])
    share: Share = Field(description="Part of all units that is held out, 0..1 in steps of one millionth; grows from 0.", examples=[0.05])
    answer: Literal["none", "default_offer", "next_best"] = Field(
        description="What who is held out is answered; `next_best` goes with `groups` or `offers`.", examples=["none"]
    )
    groups: Annotated[list[Name], Field(min_length=1)] | None = Field(
        None, description="Withholds the offers of these groups alone.", examples=[["shipping"]]
    )
    offers: Annotated[list[Name], Field(min_length=1)] | None = Field(
        None, description="Withholds these offers alone.", examples=[["welcome"]]
    )


class _Targeted(LayerRule):
    """What layers that change how offers are chosen have in common."""

    condition: ConditionText | None = Field(
        None,
        alias="if",
        description="Condition on profile and context to be in it; unknown is no.",
        examples=['context.device == "mobile"'],
    )
    exclusive: ExclusiveRule | None = Field(
        None, description="Nobody is in two layers of one namespace.", examples=[{"name": "hero", "from": 0.0, "to": 0.5}]
    )


class AblationRule(_Targeted):
    """Arms that leave out one part of the engine each; who is in none of them is in its arm `treatment`."""

    kind: Literal["ablation"] = Field(description="Its arms leave something out.", examples=["ablation"])
    coverage: _Coverage = 1.0
    arms: Annotated[
        dict[Ablation, Annotated[AblationArmRule, BeforeValidator(_arm, json_schema_input_type=Share | AblationArmRule)]],
        Field(min_length=1),
    ] = Field(description="What is left out, and of how many.", examples=[{"random_allowed": 0.02}])


class ExperimentRule(_Targeted):
    """Arms that change something each; who is in none of them is not in the experiment."""

    kind: Literal["experiment"] = Field(description="Its arms are compared.", examples=["experiment"])
    coverage: _Coverage = 1.0
    arms: Annotated[
        dict[Name, Annotated[ArmRule, BeforeValidator(_arm, json_schema_input_type=Share | ArmRule)]], Field(min_length=2, max_length=64)
    ] = Field(description="Arms, in the order of their ranges.", examples=[{"control": 0.5, "softmax": 0.5}])


class ModelControlRule(_Targeted):
    """A share of units for whom propensities are random: what the models are worth."""

    kind: Literal["model_control"] = Field(description="Its arm `control` has random propensities.", examples=["model_control"])
    share: Share = Field(description="Part of all units with random propensities, 0..1; grows from 0.", examples=[0.01])


class _Kind(BaseModel):
    """Any layer, as far as its kind."""

    model_config = ConfigDict(strict=True, frozen=True, extra="ignore")

    kind: Literal["holdout", "ablation", "experiment", "model_control"] = Field(description="What it is for.", examples=["holdout"])


AnyLayerRule = Annotated[HoldoutRule | AblationRule | ExperimentRule | ModelControlRule, Field(discriminator="kind")]
KINDS: Mapping[Any, type[LayerRule]] = {
    "holdout": HoldoutRule,
    "ablation": AblationRule,
    "experiment": ExperimentRule,
    "model_control": ModelControlRule,
}


def model_of(value: Any) -> type[BaseModel]:
    """Return the model that a layer is written by; of what has no known kind, one that says so."""
    if not isinstance(value, dict):
        return LayerRule
    kind = value.get("kind")
    return KINDS.get(kind, _Kind) if isinstance(kind, str) else _Kind
