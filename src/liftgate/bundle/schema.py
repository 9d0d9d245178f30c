"""What may stand in a bundle: one pydantic model a section. Their JSON Schema is published in docs/bundle-schema.json."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, StringConstraints, model_validator

from liftgate.bundle.duration import duration_ms
from liftgate.bundle.field_types import (
    CURRENCY_PATTERN,
    FEATURE_PATTERN,
    VALUE_PATTERN,
    Channel,
    ConditionText,
    DurationMs,
    Name,
    Strict,
    TimestampMs,
    refuse,
)
from liftgate.bundle.schema_candidates import Candidates, DefaultOffers
from liftgate.bundle.schema_caps import CapRule, ContactPolicy, PauseRule
from liftgate.bundle.schema_consent import ChannelPermission, Purpose
from liftgate.bundle.schema_events import EventProperty, EventsPolicy, SignalRule
from liftgate.bundle.schema_features import FeatureSource, OnStale
from liftgate.bundle.schema_layers import AnyLayerRule
from liftgate.bundle.schema_review import ReviewPolicy, ReviewRule, Sensitive
from liftgate.bundle.schema_select import Diversity, Select
from liftgate.bundle.schema_suppression import ExclusionRule, GuardrailMode, ListRule, ShadowSection
from liftgate.bundle.schema_value import (
    ContextWeights,
    Evidence,
    Levers,
    MinimumPropensity,
    MinimumValue,
    ModelOutput,
    Output,
    Smoothing,
    Tier,
    UpliftOutputs,
)

MAX_OFFERS = 10_000

FeatureValue = Annotated[str, StringConstraints(pattern=VALUE_PATTERN, max_length=128)]
"""One declared text; no `|` and no control characters."""
Values = Annotated[list[FeatureValue], Field(min_length=1, max_length=10_000)]
InputTypeName = Literal["int", "float", "bool", "string", "timestamp"]


def _check_values(kind: str, values: list[str] | None) -> None:
    if kind != "string" and values is not None:
        raise refuse(f"`values` goes with type string, not with {kind}", "remove `values`")
    if values is not None and len(set(values)) != len(values):
        twice = next(value for value in values if values.count(value) > 1)
        raise refuse(f"`values` holds {twice!r} twice", "keep one")


class Feature(Strict):
    """One profile feature, read as `profile.<name>`."""

    type: InputTypeName = Field(description="Type of the value.", examples=["float"])
    values: Values | None = Field(None, description="For type string: every text that the feature can be.", examples=[["DE", "FR"]])
    default: Any = Field(None, description="Used when the value is missing or stale; null: it stays missing.", examples=[0.0])
    max_age: DurationMs | None = Field(None, description="An older value is stale and the default takes its place.", examples=["1d"])
    on_stale: OnStale = Field(
        "default",
        description="What a stale value does beside: default: nothing; skip_model: models that read the feature do not score the person; "
        "skip_offer: offers whose rules or model read it are not shown.",
        examples=["skip_offer"],
    )
    from_events: FeatureSource | None = Field(
        None,
        alias="from",
        description="Events that keep it fresh; absent: pipelines write it.",
        examples=[{"count": "click", "window": "1h"}],
    )

    @model_validator(mode="after")
    def _agree(self) -> Feature:
        if self.on_stale != "default" and self.max_age is None:
            raise refuse("`on_stale` says what a stale value does, and without `max_age` none is stale", "add `max_age`")
        if self.type == "string" and self.values is None:
            raise refuse("a string feature needs `values`", "add `values: [...]` with every text that it can be")
        _check_values(self.type, self.values)
        if self.from_events is not None and self.max_age is not None:
            self.from_events.check_age(self.max_age)
        return self


class ContextInput(Strict):
    """One typed attribute of the request, read as `context.<name>`."""

    type: InputTypeName = Field(description="Type of the value.", examples=["float"])
    values: Values | None = Field(None, description="For type string: the texts that conditions may compare it with.", examples=[["DE"]])

    @model_validator(mode="after")
    def _agree(self) -> ContextInput:
        _check_values(self.type, self.values)
        return self


class ModelPin(Strict):
    """A model in use: `models/<name>/<version>/`."""

    version: int = Field(ge=1, description="Folder under models/<name>/.", examples=[3])
    outcome: Name = Field(description="Event that the model predicts.", examples=["purchase"])
    horizon: DurationMs = Field(description="Time after the decision within which the outcome counts.", examples=["7d"])


class _Shared(Strict):
    """What groups and offers have in common."""

    purposes: list[Name] = Field(default_factory=list, description="Purposes that must all be granted.", examples=[["personalization"]])
    channels: Annotated[list[Channel], Field(min_length=1)] | None = Field(
        None, description="Channels it may go out on; absent: all.", examples=[["web"]]
    )
    eligible_if: ConditionText | None = Field(None, description="May have it at all; unknown is no.", examples=["profile.age >= 18"])
    applicable_if: ConditionText | None = Field(
        None, description="Makes sense now; unknown is no.", examples=['!has(profile.plan) || profile.plan != "gold"']
    )
    suitable_if: ConditionText | None = Field(
        None, description="Right for this person; unknown is no.", examples=["profile.spend_90d < 500.0"]
    )
    suppress_if: ConditionText | None = Field(
        None, description="Condition that must not hold; unknown suppresses.", examples=["profile.days_since_purchase < 3.0"]
    )
    caps: Annotated[list[CapRule], Field(max_length=16)] = Field(
        default_factory=list, description="At most so often.", examples=[[{"max": 3, "per": "7d"}]]
    )
    pauses: Annotated[list[PauseRule], Field(max_length=8)] = Field(
        default_factory=list,
        description="Wait after outcomes.",
        examples=[[{"after": 2, "of": "dismiss", "within": "7d", "for": "30d"}]],
    )
    sensitive: Sensitive = Field(
        False, description="Shown only while an approval stands: true, or the classes of sensitive things.", examples=[["credit"]]
    )
    review: ReviewRule | None = Field(
        None, description="Who must approve what is sensitive here, beside the classes' own rules.", examples=[{"approvers": 2}]
    )
    shadow: list[ShadowSection] = Field(
        default_factory=list, description="Keys of its own that deny nothing and are noted instead.", examples=[["suppress_if"]]
    )
    levers: Levers = Field(
        default_factory=list, description="Multipliers set on purpose.", examples=[[{"name": "black-friday", "percent": 20}]]
    )
    context_weight: ContextWeights = Field(
        default_factory=list,
        description="Multipliers by the moment.",
        examples=[[{"if": 'context.device == "mobile"', "weight": 1.5}]],
    )
    tier: Tier | None = Field(
        None, description="Priority, 1 (first) to 9; absent: 5. Only the first tier with an offer to show is shown.", examples=[1]
    )
    smoothing: Smoothing | None = Field(None, description="A start for offers that are new.", examples=[{"prior": 0.02, "weight": 200}])


class Group(_Shared):
    """Rules shared by offers. Its caps count over all of them together."""

    select: Select | None = Field(
        None,
        description="The group selects among its offers by itself, and placements see it as one entry; absent: they see its offers.",
        examples=[{"policy": "softmax", "temperature": 0.2}],
    )


class OfferRule(_Shared):
    """One offer."""

    group: Name | None = Field(None, description="Group whose rules it inherits.", examples=["shipping"])
    value: float = Field(
        gt=0,
        allow_inf_nan=False,
        description="Worth of the outcome, minus cost; above 0, for offers rank by propensity x value.",
        examples=[4.0],
    )
    propensity: Output | None = Field(None, description="Model, or model and output; absent: 1.", examples=["purchase_7d"])
    uplift: UpliftOutputs | None = Field(
        None,
        description="Instead of `propensity`: two models, of people who were shown it and of people who were not; the difference counts.",
        examples=[["purchase_7d", "purchase_7d_untreated"]],
    )
    evidence: Evidence | None = Field(
        None,
        description="What has been seen of it, for `smoothing`; absent: the model output's.",
        examples=[{"positives": 12, "trials": 800}],
    )
    starts_at: TimestampMs | None = Field(None, alias="from", description="First moment.", examples=["2026-11-01T00:00:00Z"])
    until: TimestampMs | None = Field(None, description="First moment after the last.", examples=["2027-01-01T00:00:00Z"])
    review_each_decision: bool = Field(
        False, description="Shown to a person only after a reviewer said yes to that; others are shown meanwhile.", examples=[True]
    )
    payload: dict[str, Any] = Field(default_factory=dict, description="Handed on as it is.", examples=[{"title": "Free shipping"}])

    @property
    def treated(self) -> ModelOutput | None:
        """The model output that says how likely the outcome is when the offer is shown; None: none, it counts as 1."""
        return self.uplift.treated if self.uplift is not None else self.propensity

    @model_validator(mode="after")
    def _ranks_by_one(self) -> OfferRule:
        if self.propensity is not None and self.uplift is not None:
            raise refuse("has both `propensity` and `uplift`", "keep `uplift`, whose first model is the propensity, or remove it")
        return self


class PlacementRule(Strict):
    """One place where offers are shown."""

    offers: Candidates = Field(description="Candidate offers: a list, `{groups: [...]}` or `all`.", examples=[["welcome"]])
    default_offers: DefaultOffers = Field(
        default_factory=list,
        alias="default_offer",
        description="Shown when nothing else may be; passes every guardrail, has no caps. A list: for slot 1, slot 2 and so on.",
        examples=["welcome", ["welcome", "gift"]],
    )
    slots: int = Field(1, ge=1, le=10, description="Most offers in one answer, 1..10.", examples=[1])
    valid_for: DurationMs = Field(duration_ms("5m"), description="How long an answer may be used; default 5m.", examples=["5m"])
    select: Select = Field(description="How an offer is chosen.", examples=[{"policy": "epsilon_greedy", "epsilon": 0.1}])
    diversity: Diversity | None = Field(
        None, description="How alike the offers of one answer may be; absent: as alike as they come.", examples=[{"max_per_group": 1}]
    )
    minimum_propensity: MinimumPropensity = None
    minimum_value: MinimumValue = None
    mode: Literal["online", "apprentice", "logging_only"] = Field(
        "online",
        description="What is answered. online: what is chosen. apprentice: the caller's own choice (`baseline_offers`), as far as "
        "guardrails allow. logging_only: nothing. What would be chosen is logged in all of them.",
        examples=["apprentice"],
    )

    @model_validator(mode="after")
    def _slots_for_defaults(self) -> PlacementRule:
        if len(self.default_offers) > self.slots:
            problem = f"`default_offer` names {len(self.default_offers)} offers, one for each slot, and `slots` is {self.slots}"
            raise refuse(problem, f"name {self.slots} at most, or raise `slots`")
        return self


FeatureName = Annotated[str, StringConstraints(pattern=FEATURE_PATTERN)]


class BundleDocument(Strict):
    """A whole bundle, as its files say it together."""

    bundle: Name = Field(description="The bundle's name.", examples=["shop"])
    currency: Annotated[str, StringConstraints(pattern=CURRENCY_PATTERN)] = Field(description="ISO 4217 code.", examples=["EUR"])
    time_zone: Annotated[str, StringConstraints(min_length=1)] = Field(description="IANA name.", examples=["Europe/Berlin"])
    profile_purpose: Name = Field(
        description="Purpose to be granted before any profile feature is read; `none`: no consent needed.",
        examples=["personalization"],
    )
    experiment_purpose: Name = Field(
        "none",
        description="Purpose to be granted before a person is enrolled in any layer; absent or `none`: no consent needed.",
        examples=["experiment_logging"],
    )
    features: dict[FeatureName, Feature] = Field(default_factory=dict, description="Typed profile features.")
    context: dict[FeatureName, ContextInput] = Field(
        default_factory=dict,
        description="Typed attributes of the request. channel, device, locale and time_zone are always there, as strings.",
    )
    purposes: dict[Name, Purpose] = Field(default_factory=dict, description="What consent can be asked for.")
    channel_permissions: dict[Name, ChannelPermission] = Field(
        default_factory=dict, description="By channel: the purpose that every decision on it needs."
    )
    models: dict[Name, ModelPin] = Field(default_factory=dict, description="Pinned models.")
    groups: dict[Name, Group] = Field(default_factory=dict, description="Rules shared by offers.")
    offers: dict[Name, OfferRule] = Field(min_length=1, max_length=MAX_OFFERS, description="Everything that can be shown.")
    placements: dict[Name, PlacementRule] = Field(min_length=1, description="Where offers are shown.")
    guardrails: dict[Name, GuardrailMode] = Field(default_factory=dict, description="Guardrails that run in shadow, over the whole bundle.")
    lists: dict[Name, ListRule] = Field(default_factory=dict, description="Do-not-contact lists.")
    exclusions: dict[Name, ExclusionRule] = Field(default_factory=dict, description="Offers that exclude one another.")
    contact_policy: ContactPolicy = Field(
        default_factory=ContactPolicy, description="How often people may be contacted, whatever is offered."
    )
    review_classes: dict[Name, ReviewRule] = Field(default_factory=dict, description="Who must approve each class of sensitive things.")
    review_policy: ReviewPolicy = Field(
        default_factory=lambda: ReviewPolicy.model_validate({}), description="What is sensitive although nothing marks it."
    )
    signals: dict[Name, SignalRule] = Field(default_factory=dict, description="How far to trust each kind of event; custom events by name.")
    event_properties: dict[FeatureName, EventProperty] = Field(default_factory=dict, description="Properties of events that are kept.")
    events: EventsPolicy = Field(
        default_factory=lambda: EventsPolicy.model_validate({}), description="What holds for all events: when one is late."
    )
    layers: dict[Name, AnyLayerRule] = Field(default_factory=dict, description="Holdouts, ablations and experiments.")


def json_schema() -> dict[str, Any]:
    """Return the JSON Schema of one bundle file for editors. A file may hold any part, so nothing is required at the top."""
    schema = BundleDocument.model_json_schema(by_alias=True, mode="validation")
    schema.pop("required")
    schema["$schema"] = "https://json-schema.org/draft/2020-12/schema"
    schema["title"] = "Liftgate bundle file"
    return schema
