"""What may stand in a bundle about worth: levers, context weights, uplift, smoothing, evidence, tiers, thresholds."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BeforeValidator, Field, model_validator

from liftgate.bundle.field_types import ConditionText, Name, Strict, TimestampMs, refuse

LARGEST_FACTOR = 1_000.0
SMALLEST_FACTOR = 0.001
USUAL_TIER = 5
"""Of offers that name none."""
LAST_TIER = 9

Multiple = Annotated[float, Field(ge=SMALLEST_FACTOR, le=LARGEST_FACTOR, allow_inf_nan=False)]
"""Multiplies worth; far outside of it nothing else would matter."""
MinimumPropensity = Annotated[
    float | None,
    Field(
        ge=0,
        le=1,
        allow_inf_nan=False,
        description="Offers of a smaller propensity (in uplift mode: difference) are not shown; 0 or absent: no minimum.",
        examples=[0.01],
    ),
]
MinimumValue = Annotated[
    float | None,
    Field(
        ge=0,
        allow_inf_nan=False,
        description="Offers of smaller expected worth are not shown, in the bundle's currency; 0 or absent: no minimum.",
        examples=[0.05],
    ),
]


class Lever(Strict):
    """A multiplier that people set on purpose: a campaign, a season, a stock to clear."""

    name: Name = Field(description="What it is called in explanations; once an offer.", examples=["black-friday"])
    percent: float | None = Field(
        None, le=100 * (LARGEST_FACTOR - 1), allow_inf_nan=False, description="More (or less) by so much; above -100.", examples=[20]
    )
    factor: Multiple | None = Field(None, description="Instead of `percent`: times so much, 0.001 to 1,000.", examples=[1.2])
    condition: ConditionText | None = Field(
        None, alias="if", description="Counts while this is true; unknown: it does not count.", examples=['context.device == "mobile"']
    )
    starts_at: TimestampMs | None = Field(None, alias="from", description="First moment.", examples=["2026-11-23T00:00:00Z"])
    until: TimestampMs | None = Field(None, description="First moment after the last.", examples=["2026-12-01T00:00:00Z"])

    @model_validator(mode="after")
    def _agree(self) -> Lever:
        if (self.percent is None) == (self.factor is None):
            problem = "wants either `percent` or `factor`"
            raise refuse(problem, "write, for example, `percent: 20`")
        if self.percent is not None and self.multiple < SMALLEST_FACTOR:
            problem = f"takes {-self.percent:g} % off: worth would be nothing, or turn negative and rank the worst first"
            raise refuse(problem, "write a `percent` above -100, such as -50, or hold the offer back with `suppress_if`")
        if self.starts_at is not None and self.until is not None and self.starts_at >= self.until:
            raise refuse("`until` is not after `from`: it could never count", "swap or correct the two")
        return self

    @property
    def multiple(self) -> float:
        """What worth is multiplied by."""
        return self.factor if self.factor is not None else 1.0 + (self.percent or 0.0) / 100.0


class ContextWeight(Strict):
    """How much more, or less, an offer is worth in this moment."""

    condition: ConditionText = Field(
        alias="if", description="Counts while this is true; unknown: it does not count.", examples=['context.device == "mobile"']
    )
    weight: Multiple = Field(description="Times so much, 0.001 to 1,000.", examples=[1.5])


class Evidence(Strict):
    """What has been seen so far of an offer, or of a model's output."""

    positives: int = Field(ge=0, description="Outcomes seen.", examples=[12])
    trials: int | None = Field(None, ge=0, description="How often it was shown for them; absent: not known.", examples=[800])

    @model_validator(mode="after")
    def _agree(self) -> Evidence:
        if self.trials is not None and self.trials < self.positives:
            raise refuse(f"{self.positives} positives of {self.trials} trials", "write all trials, with outcome and without")
        return self


class Smoothing(Strict):
    """A start for offers that are new: the prior counts until the model has seen enough."""

    prior: float = Field(gt=0, lt=1, allow_inf_nan=False, description="Response expected of an offer that nobody knows.", examples=[0.02])
    weight: float = Field(
        gt=0, le=1e9, allow_inf_nan=False, description="Positives at which prior and model count the same.", examples=[200]
    )


class ModelOutput(Strict):
    """One probability that a model gives."""

    model: Name = Field(description="Name in `models:`.", examples=["purchase_7d"])
    output: Name | None = Field(None, description="Name of the output; absent: the model's only one.", examples=["purchase"])


def named(value: Any) -> Any:
    """Return a bare model name as a mapping."""
    return {"model": value} if isinstance(value, str) else value


Output = Annotated[ModelOutput, BeforeValidator(named, json_schema_input_type=Name | ModelOutput)]


class Uplift(Strict):
    """Two models: the outcome with the offer and without."""

    treated: Output = Field(description="Model, or model and output, of people who were shown it.", examples=["purchase_7d"])
    untreated: Output = Field(description="Model, or model and output, of people who were not.", examples=["purchase_7d_untreated"])
    allow_negative: bool = Field(
        False, description="Show it also where the difference is not above 0; usually such offers are below threshold.", examples=[False]
    )


def _pair(value: Any) -> Any:
    if not isinstance(value, list):
        return value
    if len(value) != 2:
        raise refuse(f"wants two models, treated and untreated, not {len(value)}", "write `uplift: [purchase_7d, purchase_7d_untreated]`")
    return {"treated": value[0], "untreated": value[1]}


UpliftOutputs = Annotated[
    Uplift, BeforeValidator(_pair, json_schema_input_type=Annotated[list[Name | ModelOutput], Field(min_length=2, max_length=2)] | Uplift)
]
Levers = Annotated[list[Lever], Field(max_length=16)]
ContextWeights = Annotated[list[ContextWeight], Field(max_length=16)]
Tier = Annotated[int, Field(ge=1, le=LAST_TIER)]
