"""Levers, weights, priors, tiers and thresholds as written, checked and compiled to columns."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import inf, nan, prod
from typing import Any

import numpy as np

from liftgate.bundle.conditions import (
    ColumnCondition,
    ConditionError,
    Node,
    OfferConstants,
    Scope,
    Tainted,
    canonical,
    compile_condition,
    names_offer,
    parse,
)
from liftgate.bundle.model_specs import ModelFolder
from liftgate.bundle.rules import Written, note
from liftgate.bundle.schema import Group, OfferRule, PlacementRule
from liftgate.bundle.schema_value import USUAL_TIER, ContextWeight, Evidence, Lever
from liftgate.bundle.sections import Draft
from liftgate.bundle.worth import Multiplier, Switch, Untreated, Worth, fused
from liftgate.bundle.worth_form import FACTORS
from liftgate.domain.input import Floats

Compiled = Mapping[tuple[tuple[str | int, ...], str], ColumnCondition]
"""(path of a condition, offer where it depends on that) to the condition."""


@dataclass(frozen=True, slots=True)
class _Entry:
    """One multiplier of one offer."""

    factor: float
    condition: ColumnCondition | None
    starts_at_ms: float = -inf
    until_ms: float = inf


def factors_written(draft: Draft) -> list[Written]:
    """Return every condition of levers and weights for every offer that it concerns, groups' first. Syntax mistakes are noted once."""
    nodes: dict[tuple[str | int, ...], Node | None] = {}
    found: list[Written] = []

    def take(owner: tuple[str, str], rule: Group | OfferRule, offer: OfferConstants, index: int) -> None:
        for kind in FACTORS:
            for i, item in enumerate(getattr(rule, kind)):
                path = (*owner, kind, i, "if")
                if item.condition is None:
                    continue
                if path not in nodes:
                    try:
                        nodes[path] = parse(item.condition)
                    except ConditionError as err:
                        nodes[path] = None
                        note(draft, path, err)
                node = nodes[path]
                if node is not None:
                    found.append(Written(kind, path, item.condition, node, offer, index))

    groups = draft.section("groups", Group)
    for name, group in groups.items():
        take(("groups", name), group, OfferConstants("", name, 1.0), -1)
    for index, (name, offer) in enumerate(draft.section("offers", OfferRule).items()):
        constants = OfferConstants(name, offer.group or "", offer.value)
        if offer.group in groups:
            take(("groups", str(offer.group)), groups[str(offer.group)], constants, index)
        take(("offers", name), offer, constants, index)
    return found


def compile_factors(draft: Draft, written: Sequence[Written], scope: Scope) -> dict[tuple[tuple[str | int, ...], str], ColumnCondition]:
    """Return the conditions of levers and weights. Flaws become mistakes of the draft, each once."""
    compiled: dict[tuple[tuple[str | int, ...], str], ColumnCondition] = {}
    faulty: set[tuple[str | int, ...]] = set()
    for item in written:
        key = (item.path, item.offer.offer_id if names_offer(item.node) else "")
        if item.path in faulty or key in compiled:
            continue
        try:
            compiled[key] = compile_condition(item.text, item.node, scope, item.offer)
        except ConditionError as err:
            note(draft, item.path, err)
            faulty.add(item.path)
        except Tainted:
            faulty.add(item.path)
    return compiled


def worth_of(
    draft: Draft, conditions: Compiled, folders: Mapping[str, ModelFolder], models: Mapping[str, int], untreated: Sequence[int]
) -> Worth:
    """Return what a draft without mistakes says of worth. `models`: index by name; `untreated` [K]: see `Untreated.output`."""
    groups, offers = draft.section("groups", Group), draft.section("offers", OfferRule)
    placements = draft.section("placements", PlacementRule)
    index: dict[object, int] = {}
    known: list[ColumnCondition] = []
    multipliers: dict[str, Multiplier | None] = {}
    for kind in FACTORS:
        entries = [list(_entries(kind, name, offer, groups, conditions)) for name, offer in offers.items()]
        for condition in (entry.condition for some in entries for entry in some):
            if condition is not None and condition.key not in index:
                index[condition.key] = len(known)
                known.append(condition)
        multipliers[kind] = _multiplier(entries, index) if any(entries) else None
    tiers = [offer.tier or getattr(groups.get(offer.group or ""), "tier", None) for offer in offers.values()]
    prior, credible = _priors(offers, groups, folders)
    pairs = [offer.uplift for offer in offers.values()]
    helps = [pair is not None and not pair.allow_negative for pair in pairs]
    return Worth(
        conditions=tuple(known),
        fused=fused(tuple(known)),
        context_weight=multipliers["context_weight"],
        lever=multipliers["levers"],
        untreated=_untreated(offers, folders, models, untreated) if any(pairs) else None,
        must_help=_column(helps, np.bool_) if any(helps) else None,
        prior=prior,
        credibility=credible,
        observations=_observations(offers, groups, folders),
        tier=_column([tier or USUAL_TIER for tier in tiers], np.intp) if any(tiers) else None,
        minimum_propensity=_minimum([rule.minimum_propensity for rule in placements.values()]),
        minimum_value=_minimum([rule.minimum_value for rule in placements.values()]),
    )


def rules_over(offer: OfferRule, groups: Mapping[str, Group]) -> Iterator[Group | OfferRule]:
    """Yield an offer's group, where it has one that is known, and the offer."""
    if offer.group in groups:
        yield groups[str(offer.group)]
    yield offer


def _entries(kind: str, name: str, offer: OfferRule, groups: Mapping[str, Group], conditions: Compiled) -> Iterator[_Entry]:
    for rule in rules_over(offer, groups):
        owner = ("offers", name) if rule is offer else ("groups", str(offer.group))
        for i, item in enumerate(getattr(rule, kind)):
            path = (*owner, kind, i, "if")
            condition = None if item.condition is None else conditions.get((path, name)) or conditions[path, ""]
            if isinstance(item, Lever):
                yield _Entry(
                    item.multiple,
                    condition,
                    -inf if item.starts_at is None else float(item.starts_at),
                    inf if item.until is None else float(item.until),
                )
            elif isinstance(item, ContextWeight):
                yield _Entry(item.weight, condition)


def _multiplier(entries: Sequence[Sequence[_Entry]], index: Mapping[object, int]) -> Multiplier:
    """Return entries [K] as columns. Neither the order of files nor that of a list changes a bit of a product."""
    constant = np.ones(len(entries))
    switches: dict[tuple[int, float, float], dict[int, list[float]]] = {}
    texts: dict[int, str] = {-1: ""}
    for k, some in enumerate(entries):
        always = [one.factor for one in some if one.condition is None and (one.starts_at_ms, one.until_ms) == (-inf, inf)]
        constant[k] = prod(sorted(always))
        for one in some:
            if one.condition is None and (one.starts_at_ms, one.until_ms) == (-inf, inf):
                continue
            at = -1 if one.condition is None else index[one.condition.key]
            if one.condition is not None:
                text = canonical(one.condition.text)
                texts[at] = min(texts.get(at, text), text)
            switches.setdefault((at, one.starts_at_ms, one.until_ms), {}).setdefault(k, []).append(one.factor)
    constant.setflags(write=False)
    ordered = sorted(switches.items(), key=lambda each: (texts[each[0][0]], *each[0][1:], min(each[1])))
    return Multiplier(
        constant,
        tuple(
            Switch(*key, _column(sorted(of), np.intp), _column([prod(sorted(of[k])) for k in sorted(of)], np.float64))
            for key, of in ordered
        ),
    )


def _priors(
    offers: Mapping[str, OfferRule], groups: Mapping[str, Group], folders: Mapping[str, ModelFolder]
) -> tuple[Floats | None, Floats | None]:
    prior, credible = np.zeros(len(offers)), np.ones(len(offers))
    found = False
    for k, offer in enumerate(offers.values()):
        smoothing = offer.smoothing or getattr(groups.get(offer.group or ""), "smoothing", None)
        if smoothing is None or offer.treated is None:
            continue
        found = True
        seen = evidence_of(offer, folders)
        prior[k] = smoothing.prior
        credible[k] = credibility(smoothing.weight, smoothing.prior, seen.positives, seen.trials) if seen else 0.0
    for column in (prior, credible):
        column.setflags(write=False)
    return (prior, credible) if found else (None, None)


def _observations(offers: Mapping[str, OfferRule], groups: Mapping[str, Group], folders: Mapping[str, ModelFolder]) -> Floats | None:
    """Return how many trials each response is known from: those that were seen, and those that its smoothing's prior stands for."""
    found = []
    for offer in offers.values():
        seen = evidence_of(offer, folders)
        smoothing = offer.smoothing or getattr(groups.get(offer.group or ""), "smoothing", None)
        if seen is None or seen.trials is None:
            found.append(nan)
        else:
            # A prior of so many positives is one of that many trials.
            found.append(seen.trials + (smoothing.weight / smoothing.prior if smoothing is not None and offer.treated is not None else 0.0))
    column: Floats = _column(found, np.float64)
    return None if np.isnan(column).all() else column


def evidence_of(offer: OfferRule, folders: Mapping[str, ModelFolder]) -> Evidence | None:
    """Return what has been seen of an offer: its own evidence, else that of its model's output; None: neither is written."""
    if offer.evidence is not None or offer.treated is None:
        return offer.evidence
    folder = folders.get(offer.treated.model)
    outputs = folder.manifest.outputs if folder is not None and folder.manifest is not None else []
    return next((one.evidence for one in outputs if offer.treated.output in (None, one.name)), None)


def credibility(weight: float, prior: float, positives: int, trials: int | None) -> float:
    """Return how much a model's propensity counts beside the prior, 0..1: evidence / (evidence + weight).

    Evidence is counted in positives; where trials are known and the prior would have expected more positives of them than were seen, it is
    what the prior expected: an offer that was tried often in vain is known too. Buehlmann's credibility (Experience rating and
    credibility, ASTIN Bulletin 4, 1967): Z = n / (n + k). With evidence = prior x trials it is the mean of a Beta prior with the
    strength of `weight` positives, updated by the model's rate.
    """
    evidence = max(float(positives), prior * trials if trials is not None else 0.0)
    return evidence / (evidence + weight)


def _untreated(
    offers: Mapping[str, OfferRule], folders: Mapping[str, ModelFolder], models: Mapping[str, int], outputs: Sequence[int]
) -> Untreated:
    found = [models[offer.uplift.untreated.model] if offer.uplift is not None else -1 for offer in offers.values()]
    rates = [0.0] * len(found)
    for k, offer in enumerate(offers.values()):
        manifest = folders[offer.uplift.untreated.model].manifest if offer.uplift is not None else None
        if manifest is not None:
            rates[k] = manifest.outputs[outputs[k]].base_rate
    return Untreated(_column(found, np.intp), _column([max(output, 0) for output in outputs], np.intp), _column(rates, np.float64))


def _minimum(values: Sequence[float | None]) -> Floats | None:
    """Return [placements], -inf where there is none; None: nowhere is any."""
    return _column([value or -inf for value in values], np.float64) if any(values) else None


def _column(values: Sequence[Any], kind: Any) -> Any:
    column = np.array(values, dtype=kind)
    column.setflags(write=False)
    return column
