"""The section `layers:` to layers: ranges of arms, namespaces, what is withheld, and every mistake in them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations
from math import inf
from typing import Any

import numpy as np

from liftgate.bundle.conditions import canonical
from liftgate.bundle.schema import OfferRule
from liftgate.bundle.schema_layers import AblationArmRule, AblationRule, ArmRule, ExperimentRule, HoldoutRule, LayerRule, ModelControlRule
from liftgate.bundle.sections import Draft
from liftgate.domain.bucketing import SPACE
from liftgate.domain.layer import CONTROL, HOLDOUT, TREATMENT, Exclusive, Layer, LayerArm, LayerKind, first_and_rest, in_use
from liftgate.domain.offer import Indices

Path = tuple[str | int, ...]
WithArms = AblationRule | ExperimentRule


def layer_rules(draft: Draft) -> dict[str, LayerRule]:
    """Return the section's valid entries, sorted by name."""
    return draft.section("layers", LayerRule)


def check_layers(draft: Draft) -> None:
    """Note every mistake of the section that concerns more than one key."""
    rules = layer_rules(draft)
    salts: dict[str, str] = {}
    for name, rule in rules.items():
        path = ("layers", name)
        first = salts.setdefault(rule.salt, name)
        if first != name:
            problem = f"layer `{first}` has the same salt: both would pick the same people"
            draft.refuse((*path, "salt"), problem, f"write a salt of its own, for example `{name}`")
        if rule.starts_at is not None and rule.until is not None and rule.starts_at >= rule.until:
            draft.refuse((*path, "until"), "is not after `from`: nobody could ever be in the layer", "swap or correct the two")
        _names(draft, (*path, "placements"), "placements", rule.placements)
        if isinstance(rule, HoldoutRule):
            _holdout(draft, path, rule)
        if isinstance(rule, (AblationRule, ExperimentRule)):
            _arms(draft, path, rule)
    _namespaces(draft, rules)


def _names(draft: Draft, path: Path, section: str, names: Sequence[str] | None) -> bool:
    """Note names that are unknown or there twice; say whether all are known."""
    known = True
    for i, name in enumerate(names or ()):
        known &= draft.refer((*path, i), section, name)
        if name in (names or ())[:i]:
            draft.refuse((*path, i), f"`{name}` is listed twice", "keep one")
    return known


def _holdout(draft: Draft, path: Path, rule: HoldoutRule) -> None:
    known = [_names(draft, (*path, section), section, names) for section, names in (("groups", rule.groups), ("offers", rule.offers))]
    if rule.groups is not None or rule.offers is not None:
        if all(known) and not _withheld(rule, draft.section("offers", OfferRule)) and not draft.broken and not draft.refused["offers"]:
            draft.refuse((*path, "groups"), "no offer belongs to these groups", "put offers into them, or list offers")
        return
    if rule.answer == "next_best":
        problem = "holds out of everything, so there is no next best offer"
        draft.refuse((*path, "answer"), problem, "write `none` or `default_offer`, or name `groups` or `offers` to withhold")
    for key in ("placements", "channels"):
        if getattr(rule, key) is not None:
            # Contact history is kept once for who is held out and once for who is not: nobody can be both.
            problem = "holds out of everything, and that holds everywhere: contacts elsewhere would reach who is held out here"
            draft.refuse((*path, key), problem, f"remove `{key}`, or name `groups` or `offers` to withhold")


def _arms(draft: Draft, path: Path, rule: WithArms) -> None:
    if isinstance(rule, ExperimentRule) and TREATMENT in rule.arms and HOLDOUT in rule.arms:
        problem = "has arms called `holdout` and `treatment`, and holds nobody out: reports would read it as a holdout"
        draft.refuse((*path, "arms"), problem, "call them something else, for example `control` and the name of what is tried")
    spans = ranges(rule)
    taken = sum(width for _, width in spans.values())
    if taken > SPACE:
        problem = f"its arms own {taken / SPACE:g} of all units, more than 1"
        draft.refuse((*path, "arms"), problem, "make shares smaller until they add up to 1 at most")
        return
    for name, (start, width) in spans.items():
        if start + width > SPACE:
            problem = f"its range goes from {start / SPACE:g} to {(start + width) / SPACE:g}, beyond 1"
            draft.refuse((*path, "arms", name), problem, "begin it earlier, or make its share smaller")
    for (name, (start, width)), (other, (begin, size)) in combinations(spans.items(), 2):
        if max(start, begin) < min(start + width, begin + size):
            problem = f"its range overlaps that of `{name}`, which ends at {(start + width) / SPACE:g}"
            draft.refuse((*path, "arms", other), problem, f"write `from: {(start + width) / SPACE:g}`, or leave `from` out")


def _namespaces(draft: Draft, rules: Mapping[str, LayerRule]) -> None:
    sharing = [(name, rule, part) for name, rule in rules.items() if (part := getattr(rule, "exclusive", None)) is not None]
    for name, _, part in sharing:
        if part.start >= part.to:
            draft.refuse(("layers", name, "exclusive", "to"), "is not after `from`: nobody could be in it", "swap or correct the two")
    for (name, rule, part), (other, later, its) in combinations(sharing, 2):
        if part.name != its.name:
            continue
        path = ("layers", other, "exclusive")
        if rule.unit != later.unit:
            problem = (
                f"shares namespace `{part.name}` with layer `{name}`, which is drawn by {rule.unit}: they would not exclude one another"
            )
            draft.refuse((*path, "name"), problem, f"write `unit: {rule.unit}`, or a namespace of its own")
        elif max(part.start, its.start) < min(part.to, its.to) and _at_once(rule, later):
            problem = f"overlaps layer `{name}`, which has {part.start:g} to {part.to:g} of namespace `{part.name}`"
            draft.refuse(path, problem, "give each its own part, or dates that do not overlap")


def _at_once(one: LayerRule, other: LayerRule) -> bool:
    start = max(-inf if rule.starts_at is None else rule.starts_at for rule in (one, other))
    return start < min(inf if rule.until is None else rule.until for rule in (one, other))


def ranges(rule: WithArms) -> dict[str, tuple[int, int]]:
    """Return (first bucket, buckets) that each arm owns, in the order written."""
    found: dict[str, tuple[int, int]] = {}
    end = 0
    for name, arm in rule.arms.items():
        start = end if arm.start is None else round(arm.start * SPACE)
        found[name] = start, round(arm.share * SPACE)
        end = start + found[name][1]
    return found


def compile_layers(draft: Draft, placement_index: Mapping[str, int], offers: Mapping[str, OfferRule]) -> tuple[Layer, ...]:
    """Return the layers of a section without mistakes, sorted by name."""
    return tuple(_layer(draft, name, rule, placement_index, offers) for name, rule in layer_rules(draft).items())


def _layer(draft: Draft, name: str, rule: LayerRule, placement_index: Mapping[str, int], offers: Mapping[str, OfferRule]) -> Layer:
    part = getattr(rule, "exclusive", None)
    placements = None if rule.placements is None else tuple(sorted({placement_index[placement] for placement in rule.placements}))
    kind: LayerKind = rule.kind  # type: ignore[attr-defined]
    return Layer(
        name=name,
        kind=kind,
        salt=rule.salt,
        arms=_layer_arms(rule),
        unit=rule.unit,
        phase=rule.phase,
        coverage=getattr(rule, "coverage", 1.0),
        share=getattr(rule, "share", 0.0),
        answer=getattr(rule, "answer", "none"),
        starts_at_ms=-inf if rule.starts_at is None else rule.starts_at,
        ends_at_ms=inf if rule.until is None else rule.until,
        placements=placements,
        channels=None if rule.channels is None else tuple(sorted(set(rule.channels))),
        exclusive=None if part is None else Exclusive(part.name, round(part.start * SPACE), round(part.to * SPACE)),
        withholds=_withholds(rule, offers),
        owner=rule.owner or "",
        hypothesis=rule.hypothesis or "",
        metric=rule.metric or "",
        n_star=rule.n_star or 0,
        source=draft.where(("layers", name)),
    )


def _layer_arms(rule: LayerRule) -> tuple[LayerArm, ...]:
    if isinstance(rule, HoldoutRule):
        return first_and_rest(HOLDOUT, round(rule.share * SPACE))
    if isinstance(rule, ModelControlRule):
        return first_and_rest(CONTROL, round(rule.share * SPACE))
    if not isinstance(rule, (AblationRule, ExperimentRule)):
        raise AssertionError("a layer is of one of the four kinds")
    arms = [LayerArm(name, start, width, in_use(width, rule.coverage)) for name, (start, width) in ranges(rule).items()]
    if isinstance(rule, AblationRule):
        arms += _rest(arms, rule.coverage)
    return tuple(arms)


def _rest(arms: Sequence[LayerArm], coverage: float) -> Iterator[LayerArm]:
    """Yield what is compared with an ablation's arms: everything after the last of them, covered as far as they are."""
    start = max(arm.start + arm.width for arm in arms)
    if start < SPACE:
        yield LayerArm(TREATMENT, start, SPACE - start, in_use(SPACE - start, coverage))


def _withheld(rule: HoldoutRule, offers: Mapping[str, OfferRule]) -> list[int]:
    groups, named = set(rule.groups or ()), set(rule.offers or ())
    return [k for k, (name, offer) in enumerate(offers.items()) if name in named or offer.group in groups]


def _withholds(rule: LayerRule, offers: Mapping[str, OfferRule]) -> Indices | None:
    if not isinstance(rule, HoldoutRule) or (rule.groups is None and rule.offers is None):
        return None
    column = np.array(_withheld(rule, offers), dtype=np.intp)
    column.setflags(write=False)
    return column


def layer_form(rule: LayerRule) -> dict[str, Any]:
    """Return a layer as the digest has it: arms by the ranges that they own, keys that came later where they are used."""
    form: dict[str, Any] = {"unit": rule.unit} | rule.model_dump(exclude_defaults=True, exclude={"arms", "condition"})
    condition = getattr(rule, "condition", None)
    if condition is not None:
        form["if"] = canonical(condition)
    for key in ("placements", "channels", "groups", "offers"):
        if key in form:
            form[key] = sorted(set(form[key]))
    if isinstance(rule, (AblationRule, ExperimentRule)):
        form["arms"] = {
            name: {"start": start, "width": width} | _arm_form(rule.arms[name])  # type: ignore[index]
            for name, (start, width) in ranges(rule).items()
        }
    return form


def _arm_form(arm: ArmRule | AblationArmRule) -> dict[str, Any]:
    """Return what an arm changes; the order of offers means nothing."""
    form = arm.model_dump(exclude_defaults=True, exclude={"share", "start"})
    shown = form.get("offers")
    if isinstance(shown, list):
        form["offers"] = sorted(set(shown))
    elif isinstance(shown, dict):
        form["offers"] = {"groups": sorted(set(shown["groups"]))}
    return form
