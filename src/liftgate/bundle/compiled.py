"""The compiled bundle: immutable columns over K offers, ready for batches. `bundle/compile.py` makes it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from liftgate.bundle.clauses import Clauses
from liftgate.bundle.consent_rules import ConsentRules
from liftgate.bundle.events import EventRules
from liftgate.bundle.shadow import Shadow
from liftgate.bundle.source import Texts
from liftgate.bundle.suppression import Suppressions
from liftgate.bundle.variant import Variation
from liftgate.bundle.worth import Worth
from liftgate.domain.batch import Bools
from liftgate.domain.feature import Definition
from liftgate.domain.input import Floats, InputSchema
from liftgate.domain.layer import Layer
from liftgate.domain.offer import Cap, Indices, Offer, Placement
from liftgate.domain.pause import Pause
from liftgate.domain.policy import GroupPolicy
from liftgate.domain.review import Review
from liftgate.domain.verdict import EachDecision


class Condition(Protocol):
    """A compiled CEL condition: a pure column function."""

    text: str
    by_row: bool
    """`evaluate_row` may be called."""

    def evaluate(self, inputs: Floats, now_ms: Floats) -> tuple[Bools, Bools]:
        """Return ([N] true, [N] unknown) from [N, I] inputs and [N] times. Neither set: false. Never both."""
        ...

    def evaluate_row(self, inputs: Sequence[float], now_ms: float) -> tuple[bool, bool]:
        """Return (true, unknown) for one person, as `evaluate` does. For very small batches."""
        ...


@dataclass(frozen=True, slots=True)
class Rule:
    """One condition and the offers that it governs; equal conditions are evaluated once a batch."""

    condition: Condition
    offers: Indices
    inherited: Indices
    """Those that have it from their group."""
    own: Indices
    """Those that have it of their own; an offer may be in both."""


@dataclass(frozen=True, slots=True)
class ModelInput:
    """One column of a model's matrix: an input as a number, or 1/0 for `input == equals`."""

    input: int
    """Index into the bundle's InputSchema."""
    equals: float | None
    """Column number (see `Input`) to compare with for a one-hot column; None: the number itself."""
    missing: float
    """Fed where the input is missing; finite."""


@dataclass(frozen=True, slots=True)
class ModelSpec:
    """A pinned model, from `models/<name>/<version>/model.yaml`."""

    name: str
    version: int
    directory: Path
    sha256: str
    size: int
    input_name: str
    output_name: str
    """The ONNX output that holds probabilities, float [N, W]."""
    inputs: tuple[ModelInput, ...]
    outputs: tuple[str, ...]
    """Names of the output's columns that offers may refer to."""
    output_columns: tuple[int, ...]
    """For each name, its column in the ONNX output."""
    base_rates: tuple[float, ...]
    """For each name, the outcome's rate in training, used where a person may not or cannot be scored; in (0, 1)."""
    golden_inputs: Floats
    """[G, F] matrix rows."""
    golden_outputs: Floats
    """[G, len(outputs)]; must agree to 1e-5 before the model goes live."""


@dataclass(frozen=True, slots=True)
class Bundle:
    """Everything that a decision depends on. One reference is taken per batch; nothing in it ever changes."""

    name: str
    digest: str
    """SHA-256 of the canonical form, model pins included, 64 hexadecimal digits."""
    currency: str
    time_zone: str
    schema: InputSchema
    purposes: tuple[str, ...]
    profile_purpose: int
    """Index of the purpose without which no profile feature is read; -1: the bundle says `profile_purpose: none`."""
    gpc_denies: Bools
    """[P] purposes that a GPC signal denies."""
    offers: tuple[Offer, ...]
    offer_index: Mapping[str, int]
    placements: tuple[Placement, ...]
    placement_index: Mapping[str, int]
    candidates: Bools
    """[placements, K] membership."""
    value: Floats
    """[K]"""
    needs_purpose: Bools
    """[K, P]"""
    channels: tuple[str, ...]
    """Every channel that an offer names."""
    needs_channel: Bools
    """[K] the offer is restricted to channels."""
    on_channel: Bools
    """[K, channels]"""
    starts_at_ms: Floats
    """[K], -inf: no start."""
    ends_at_ms: Floats
    """[K], inf: no end."""
    eligible_if: tuple[Rule, ...]
    applicable_if: tuple[Rule, ...]
    suitable_if: tuple[Rule, ...]
    suppress_if: tuple[Rule, ...]
    rule_source: Mapping[tuple[str, int], str]
    """(section such as `eligible_if`, offer index) to `file:line`, for explanations."""
    caps: tuple[Cap, ...]
    cap_ids: NDArray[np.uint64]
    """[caps]"""
    offer_caps: tuple[tuple[int, ...], ...]
    """For each offer, indices of the caps in its own and its group's `caps:`."""
    models: tuple[ModelSpec, ...]
    offer_model: NDArray[np.intp]
    """[K] index into models, -1: no model, propensity is 1."""
    offer_output: NDArray[np.intp]
    """[K] index into the model's outputs."""
    base_rate: Floats
    """[K] of the offer's model output; 1 where there is no model."""
    layers: tuple[Layer, ...]
    layer_if: Mapping[int, Condition] = field(default_factory=lambda: MappingProxyType({}))
    """By layer: who may be in it, once the profile is read; layers without a condition are not in it."""
    variation: Variation = field(default_factory=Variation)
    """What arms of layers change."""
    pauses: tuple[Pause, ...] = ()
    """What outcomes start; the caps that are full meanwhile are in `caps`."""
    consent: ConsentRules = field(default_factory=ConsentRules)
    """Defaults by jurisdiction, permissions by channel, the purpose of experiments."""
    suppressions: Suppressions = field(default_factory=Suppressions)
    """Do-not-contact lists and quiet hours."""
    shadow: Shadow = field(default_factory=Shadow)
    """What says what it would deny, and denies nothing."""
    canonical_form: bytes = b""
    """What the digest is taken of, JSON; empty: made by hand."""
    reviews: Mapping[int, Review] = field(default_factory=lambda: MappingProxyType({}))
    """By offer: what must be approved before it is shown. Offers that are not sensitive are not in it."""
    each_decision: Mapping[int, EachDecision] = field(default_factory=lambda: MappingProxyType({}))
    """By offer: whose every decision is reviewed."""
    events: EventRules = field(default_factory=EventRules)
    """Signals, properties and lateness of events."""
    streams: tuple[Definition, ...] = ()
    """Features that events keep fresh."""
    stale_offers: Mapping[int, Bools] = field(default_factory=lambda: MappingProxyType({}))
    """By input that takes offers out when it is stale: [K] those that read it."""
    clauses: Clauses = field(default_factory=Clauses)
    """Rules as written, for explanations."""
    worth: Worth = field(default_factory=Worth)
    """Levers, weights, priors, tiers and thresholds."""
    group_policies: tuple[GroupPolicy, ...] = ()
    """Groups that select by themselves; no offer is in two."""
    texts: Texts = field(default_factory=Texts)
    """The files that it was read from, for a replay; empty: made by hand."""
