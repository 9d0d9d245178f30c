"""What the arms of layers change: every mistake in it, and the effects as columns."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations
from math import inf, prod
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from liftgate.bundle.arm_models import arms_written, check_arm_models, key_of, replacements
from liftgate.bundle.candidates import named
from liftgate.bundle.model_specs import ModelFolder
from liftgate.bundle.policies import check_select, policy_of
from liftgate.bundle.schema import OfferRule, PlacementRule
from liftgate.bundle.schema_arm import ArmChanges
from liftgate.bundle.schema_layers import AblationRule, ExperimentRule, LayerRule, ModelControlRule
from liftgate.bundle.sections import Draft
from liftgate.bundle.variant import ArmEffect, Variation
from liftgate.domain.batch import Bools
from liftgate.domain.layer import CONTROL, Layer
from liftgate.domain.variant import ABLATIONS

MAX_VARIANTS = 4096
"""Combinations of arms at one placement."""
Path = tuple[str | int, ...]
Changing = ExperimentRule | AblationRule | ModelControlRule


def check_arms(draft: Draft, folders: Mapping[str, ModelFolder]) -> None:
    """Note every mistake in what arms change."""
    check_arm_models(draft, folders)
    for layer, arm, rule, changes in arms_written(draft):
        _experiment_arm(draft, ("layers", layer, "arms", arm), rule, changes)
    _clashes(draft)


def _experiment_arm(draft: Draft, path: Path, rule: ExperimentRule, changes: ArmChanges) -> None:
    offers = draft.section("offers", OfferRule)
    for name in changes.values:
        draft.refer((*path, "values", name), "offers", name)
    if changes.offers is not None:
        if rule.placements is None:
            problem = "says which offers are shown, and the layer does not say where"
            draft.refuse((*path, "offers"), problem, f"add `placements: [...]` to layer `{path[1]}`")
        if isinstance(changes.offers, list):
            for i, name in enumerate(changes.offers):
                draft.refer((*path, "offers", i), "offers", name)
                if name in changes.offers[:i]:
                    draft.refuse((*path, "offers", i), f"`{name}` is listed twice", "keep one")
        elif changes.offers != "all":
            groups = [draft.refer((*path, "offers", "groups", i), "groups", name) for i, name in enumerate(changes.offers.groups)]
            if all(groups) and not named(changes.offers, offers) and not draft.broken and not draft.refused["offers"]:
                draft.refuse((*path, "offers"), "no offer belongs to these groups", "put offers into them, or list offers")
    if draft.broken or draft.refused["offers"]:
        return
    for place, placement in _placements(draft, rule):
        among = named(placement.offers if changes.offers is None else changes.offers, offers)
        weights = placement.select.weights
        if changes.select is None:
            bare = [] if weights is None or changes.offers is None else [name for name in among if name not in weights]
            if bare:
                problem = f"shows `{bare[0]}`, of which the weights of placement `{place}` say nothing"
                draft.refuse((*path, "offers"), problem, "give the arm a `select:` of its own")
                return
            continue
        # Who is in the arm may be in one of another layer, which shows other offers.
        shown = _shown_by_others(draft, str(path[1]), place)
        among = [name for name in offers if name in shown or name in among]
        known = len(draft.mistakes)
        check_select(draft, (*path, "select"), changes.select, among)
        if len(draft.mistakes) > known:
            # The next placement would say the same again.
            return


def _shown_by_others(draft: Draft, layer: str, place: str) -> set[str]:
    """Return the offers that arms of other layers show at a placement."""
    offers = draft.section("offers", OfferRule)
    others = [(rule, changes) for other, _, rule, changes in arms_written(draft) if other != layer and changes.offers is not None]
    return {
        name
        for rule, changes in others
        if changes.offers is not None and place in (rule.placements or ())
        for name in named(changes.offers, offers)
    }


def _placements(draft: Draft, rule: LayerRule) -> Iterator[tuple[str, PlacementRule]]:
    for name, placement in draft.section("placements", PlacementRule).items():
        if rule.placements is None or name in rule.placements:
            yield name, placement


def _things(rule: Changing) -> dict[str, Path]:
    """Return what a layer's arms change, with the path of the first that does, below the layer."""
    if isinstance(rule, ModelControlRule):
        return {"what is taken out of deciding": ("kind",)}
    if isinstance(rule, AblationRule):
        return {"what is taken out of deciding": ("arms",)}
    found: dict[str, Path] = {}
    for arm, changes in rule.arms.items():
        for key in ("select", "offers", "minimum_value", "minimum_propensity"):
            if getattr(changes, key) is not None:
                found.setdefault(f"`{key}`", ("arms", arm, key))
        for key in ("models", "values"):
            for name in getattr(changes, key):
                found.setdefault(f"`{key}.{name}`", ("arms", arm, key, name))
    return found


def _clashes(draft: Draft) -> None:
    """Note layers that would change the same thing for the same people, and placements with too many combinations."""
    rules: dict[str, Changing] = {
        name: rule
        for name, rule in draft.section("layers", LayerRule).items()
        if isinstance(rule, (ExperimentRule, AblationRule, ModelControlRule))
    }
    for (one, first), (other, later) in combinations(rules.items(), 2):
        where = _common(draft, first, later)
        if not where or _exclusive(first, later) or not _at_once(first, later):
            continue
        things = _things(first)
        for thing, path in _things(later).items():
            if thing in things:
                problem = f"changes {thing} at {where}, as layer `{one}` does ({draft.where(('layers', one, *things[thing]))})"
                mend = "give both one `exclusive:` namespace, or different `placements` or `channels`"
                draft.refuse(("layers", other, *path), problem, mend)
                break
    for name in draft.section("placements", PlacementRule):
        here = [rule for rule in rules.values() if rule.placements is None or name in rule.placements]
        digits: dict[Any, int] = {}
        for number, rule in enumerate(here):
            digit = number if rule.exclusive is None else rule.exclusive.name
            digits[digit] = digits.get(digit, 1) + _changing(rule)
        count = prod(digits.values())
        if count > MAX_VARIANTS:
            problem = f"{len(here)} layers change {name} in {count:,} combinations of their arms, more than {MAX_VARIANTS:,}"
            draft.refuse(("layers",), problem, "name `placements` in the layers, or put several into one `exclusive:` namespace")


def _changing(rule: Changing) -> int:
    """Return how many arms of a layer change something."""
    return sum(map(bool, map(changed, rule.arms.values()))) if isinstance(rule, ExperimentRule) else len(getattr(rule, "arms", (CONTROL,)))


def _common(draft: Draft, one: LayerRule, other: LayerRule) -> str:
    """Return a placement at which both layers may concern a request; empty: none."""
    if one.channels is not None and other.channels is not None and not set(one.channels) & set(other.channels):
        return ""
    there = {name for name, _ in _placements(draft, other)}
    return next((name for name, _ in _placements(draft, one) if name in there), "")


def _at_once(one: LayerRule, other: LayerRule) -> bool:
    start = max(-inf if rule.starts_at is None else rule.starts_at for rule in (one, other))
    return start < min(inf if rule.until is None else rule.until for rule in (one, other))


def _exclusive(one: Changing, other: Changing) -> bool:
    return one.exclusive is not None and other.exclusive is not None and one.exclusive.name == other.exclusive.name


def variation(
    draft: Draft, layers: Sequence[Layer], members: Bools, folders: Mapping[str, ModelFolder], models: Mapping[str, int]
) -> tuple[Variation, Bools]:
    """Return what arms change, and [placements, K] every offer that a placement may show to anybody.

    `members` are the placements' own candidates; `models` is by the keys of `arm_models.wanted_models`.
    """
    effects: dict[tuple[int, int], ArmEffect] = {}
    rules = draft.section("layers", LayerRule)
    wider = members.copy()
    for index, layer in enumerate(layers):
        rule = rules[layer.name]
        for number, arm in enumerate(layer.arms):
            if isinstance(rule, ModelControlRule) and arm.name == CONTROL:
                effects[index, number] = ArmEffect(("random_propensity",), ablation="random_propensity")
            elif isinstance(rule, AblationRule) and arm.name in rule.arms:
                ablation = next(one for one in ABLATIONS if one == arm.name)
                effects[index, number] = ArmEffect((ablation,), ablation=ablation)
            elif isinstance(rule, ExperimentRule) and (effect := _effect(draft, rule.arms[arm.name], models)) is not None:
                effects[index, number] = effect
                if effect.offers is not None:
                    wider[list(layer.placements or ())] |= effect.offers
    wider.setflags(write=False)
    own = members if any(effect.offers is not None for effect in effects.values()) else None
    return Variation(MappingProxyType(effects), replacements(draft, folders, models), own), wider


def _effect(draft: Draft, changes: ArmChanges, models: Mapping[str, int]) -> ArmEffect | None:
    offers = draft.section("offers", OfferRule)
    names = list(offers)
    said = changed(changes)
    if not said:
        return None
    values: NDArray[np.float64] | None = None
    if changes.values:
        values = np.array([changes.values.get(name, np.nan) for name in names], dtype=np.float64)
    shown: Bools | None = None
    if changes.offers is not None:
        shown = np.isin(names, named(changes.offers, offers))
    return ArmEffect(
        changed=said,
        models=MappingProxyType({models[name]: models[key_of(name, instead)] for name, instead in changes.models.items()}),
        offers=shown,
        values=values,
        policy=None if changes.select is None else policy_of(changes.select, names),
        minimum_value=changes.minimum_value,
        minimum_propensity=changes.minimum_propensity,
    )


def changed(changes: ArmChanges) -> tuple[str, ...]:
    """Return what an arm changes, each as the bundle says it; empty: nothing, it is a control."""
    said = [f"models.{name}: {instead}" for name, instead in changes.models.items()]
    said += [f"values.{name}: {value:g}" for name, value in changes.values.items()]
    if changes.offers is not None:
        said.append(f"offers: {_offers(changes.offers)}")
    if changes.select is not None:
        told = changes.select.model_dump(exclude_none=True, exclude={"policy", "weights"})
        said.append("select: " + ", ".join([changes.select.policy, *(f"{key} {value}" for key, value in told.items())]))
    for key in ("minimum_value", "minimum_propensity"):
        if getattr(changes, key) is not None:
            said.append(f"{key}: {getattr(changes, key):g}")
    return tuple(said)


def _offers(offers: Any) -> str:
    """Return candidates in a few words: they may be thousands."""
    names = [offers] if isinstance(offers, str) else offers if isinstance(offers, list) else [f"group {name}" for name in offers.groups]
    return ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")
