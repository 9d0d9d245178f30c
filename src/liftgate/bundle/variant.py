"""Variants: a placement as the arms of experiments and ablations change it. Everything that a row is decided by comes from one of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING

import numpy as np

from liftgate.domain.batch import Bools
from liftgate.domain.input import Floats
from liftgate.domain.offer import Indices
from liftgate.domain.policy import Policy
from liftgate.domain.variant import Ablation, ArmChange, InForce

if TYPE_CHECKING:
    from liftgate.bundle.compiled import Bundle

NO_MINIMUM = float("-inf")


@dataclass(frozen=True, slots=True)
class Replacement:
    """One model in another's place: what `model` would have scored, `by` scores."""

    model: int
    """Index into the bundle's models."""
    by: int
    treated: Indices
    """[K] index into the outputs of `by` for offers that rank by `model`; 0 elsewhere."""
    untreated: Indices
    """[K] the same for offers of which `model` says what happens without them."""


@dataclass(frozen=True, slots=True, eq=False)
class ArmEffect:
    """What one arm changes, over K offers. None or empty: it does not."""

    changed: tuple[str, ...]
    """As `ArmChange.changed`; never empty."""
    models: Mapping[int, int] = field(default_factory=lambda: MappingProxyType({}))
    """Index of a model to that of the one that scores instead."""
    offers: Bools | None = None
    """[K]"""
    values: Floats | None = None
    """[K], NaN: as it is."""
    policy: Policy | None = None
    minimum_value: float | None = None
    minimum_propensity: float | None = None
    ablation: Ablation | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Variation:
    """Everything that the arms of a bundle's layers change."""

    effects: Mapping[tuple[int, int], ArmEffect] = field(default_factory=lambda: MappingProxyType({}))
    """By layer and arm. Arms that change nothing are not in it."""
    replacements: tuple[Replacement, ...] = ()
    own_candidates: Bools | None = None
    """[placements, K] what each placement may show where no arm says otherwise; None: its candidates, for no arm changes offers."""


@dataclass(frozen=True, slots=True, eq=False)
class Variant:
    """What is in force for a row. K offers, M models."""

    placement: int
    candidates: Bools
    """[K]"""
    value: Floats
    """[K] worth of the outcome."""
    model: Indices
    """[M] the model that scores the offers of each."""
    base_rate: Floats
    """[K]"""
    untreated_rate: Floats
    """[K] of what happens without the offer; 0 where it does not rank by uplift."""
    policy: Policy
    minimum_value: float
    """-inf: none."""
    minimum_propensity: float
    """-inf: none."""
    ablation: Ablation | None
    in_force: InForce
    """What its records say."""


def variant_of(bundle: Bundle, placement: int, arms: Sequence[tuple[int, int]]) -> Variant:
    """Return a placement as some arms, (layer, arm) each, change it. The load refuses arms that would change the same thing."""
    own = bundle.variation.own_candidates
    candidates = (bundle.candidates if own is None else own)[placement]
    value, model, base_rate = bundle.value, np.arange(len(bundle.models), dtype=np.intp), bundle.base_rate
    policy = bundle.placements[placement].policy
    usual = policy.kind
    minimum_propensity, minimum_value = bundle.worth.minima(placement)
    ablation: Ablation | None = None
    changes = []
    for layer, arm in sorted(arms):
        effect = bundle.variation.effects[layer, arm]
        changes.append(ArmChange(bundle.layers[layer].name, bundle.layers[layer].arms[arm].name, effect.changed))
        if effect.offers is not None:
            candidates = effect.offers
        if effect.values is not None:
            value = np.where(np.isnan(effect.values), value, effect.values)
        for index, by in effect.models.items():
            model[index] = by
        minimum_value = minimum_value if effect.minimum_value is None else effect.minimum_value or NO_MINIMUM
        minimum_propensity = minimum_propensity if effect.minimum_propensity is None else effect.minimum_propensity or NO_MINIMUM
        policy = effect.policy or policy
        ablation = effect.ablation or ablation
    second = bundle.worth.untreated
    untreated_rate = np.zeros_like(base_rate) if second is None else second.base_rate
    for one in bundle.variation.replacements:
        if model[one.model] == one.by:
            rates = np.array(bundle.models[one.by].base_rates)[one.treated]
            base_rate = np.where(bundle.offer_model == one.model, rates, base_rate)
            if second is not None:
                untreated_rate = np.where(
                    second.model == one.model, np.array(bundle.models[one.by].base_rates)[one.untreated], untreated_rate
                )
    models: tuple[int, ...] = ()
    replaced = {one.model for one in bundle.variation.replacements}
    if replaced.intersection(bundle.offer_model[bundle.placements[placement].offers].tolist()):
        models = tuple([0 if m < 0 else int(model[m]) + 1 for m in bundle.offer_model.tolist()])
    if ablation == "random_allowed":
        policy = Policy("uniform", flat=True)
    elif ablation == "random_propensity":
        policy = Policy("random_propensity", flat=True)
    return Variant(
        placement=placement,
        candidates=candidates,
        value=value,
        model=model,
        base_rate=base_rate,
        untreated_rate=untreated_rate,
        policy=policy,
        minimum_value=minimum_value,
        minimum_propensity=minimum_propensity,
        ablation=ablation,
        in_force=InForce(ablation, tuple(changes), models, "" if policy.kind == usual else policy.kind),
    )
