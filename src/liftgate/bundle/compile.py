"""Valid sections to one immutable Bundle of columns; everything that refers to something else is checked here."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType
from typing import Any, TypeVar
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from liftgate.bundle.arms import check_arms, variation
from liftgate.bundle.candidates import candidates
from liftgate.bundle.caps import compile_caps
from liftgate.bundle.clauses import clauses
from liftgate.bundle.compiled import Bundle, ModelSpec
from liftgate.bundle.conditions import Scope
from liftgate.bundle.consent_rules import consent_rules
from liftgate.bundle.digest import canonical_json, digest
from liftgate.bundle.events import check_events, event_rules
from liftgate.bundle.features import check_features, definitions
from liftgate.bundle.freshness import stale_offers, stale_sources
from liftgate.bundle.inputs import build_schema, context_inputs, tainted, undeclared_texts
from liftgate.bundle.layer_conditions import compile_layer_conditions, written_of_layers
from liftgate.bundle.layers import compile_layers
from liftgate.bundle.model_specs import ModelFolder, build_spec, compared_texts, output_index
from liftgate.bundle.policies import check_policies, group_policies, policy_of
from liftgate.bundle.references import check_references
from liftgate.bundle.review import check_review, each_decision, reviews
from liftgate.bundle.rules import compile_rules, inputs_of, texts_of, written
from liftgate.bundle.schema import Group, OfferRule, PlacementRule
from liftgate.bundle.schema_caps import ContactChannels
from liftgate.bundle.schema_consent import Purpose
from liftgate.bundle.sections import Draft
from liftgate.bundle.shadow import shadow_of
from liftgate.bundle.suppression import suppressions
from liftgate.bundle.worth_checks import check_worth
from liftgate.bundle.worth_rules import compile_factors, factors_written, worth_of
from liftgate.domain.offer import Offer, Placement

A = TypeVar("A", bound=np.generic)


def compile_bundle(draft: Draft, folders: Mapping[str, ModelFolder], zones: Mapping[str, ZoneInfo]) -> Bundle | None:
    """Return the bundle; None: the draft or a model folder has mistakes, all of them noted. `zones`: time zones by name."""
    context = context_inputs(draft)
    conditions, of_layers, of_worth = written(draft), written_of_layers(draft), factors_written(draft)
    texts = texts_of([*conditions, *of_layers, *of_worth])
    for name, text in compared_texts(folders):
        texts.setdefault(name, set()).add(text)
    groups, offers = draft.section("groups", Group), draft.section("offers", OfferRule)
    texts.setdefault("context.channel", set()).update(_named_channels(draft, groups, offers))
    schema = build_schema(draft, context, texts)
    scope = Scope(schema, undeclared_texts(context), tuple(offers), tuple(groups), tainted(draft))
    if draft.broken:
        # Names may stand in what could not be read: types cannot be judged.
        conditions = of_layers = of_worth = []
    rules = compile_rules(draft, conditions, scope)
    targeting = compile_layer_conditions(draft, of_layers, scope)
    factors = compile_factors(draft, of_worth, scope)
    specs = {name: build_spec(folder, schema, scope.tainted) for name, folder in folders.items()}
    places = [("offers", name, "propensity" if offer.uplift is None else "uplift") for name, offer in offers.items()]
    outputs = [output_index(draft, path, offer.treated, folders) for path, offer in zip(places, offers.values(), strict=True)]
    untreated = [
        output_index(draft, path, offer.uplift.untreated if offer.uplift else None, folders)
        for path, offer in zip(places, offers.values(), strict=True)
    ]
    payloads = check_references(draft)
    check_policies(draft)
    check_arms(draft, folders)
    check_worth(draft)
    check_review(draft)
    check_events(draft)
    check_features(draft)
    found = draft.mistakes or any(folder.mistakes for folder in folders.values())
    models = tuple(spec for spec in specs.values() if spec is not None)
    if found or len(models) < len(specs):
        return None
    purposes = tuple(draft.section("purposes", Purpose))
    profile_purpose = draft.head["profile_purpose"]
    model_index = {key: i for i, key in enumerate(specs)}
    offer_model = [model_index[offer.treated.model] if offer.treated else -1 for offer in offers.values()]
    rates = [models[m].base_rates[o] if m >= 0 else 1.0 for m, o in zip(offer_model, outputs, strict=True)]
    channels = sorted({channel for rule in (*groups.values(), *offers.values()) for channel in rule.channels or ()})
    allowed = [_channels(offer, groups) for offer in offers.values()]
    held_back = suppressions(draft, zones)
    counters = compile_caps(draft, groups, offers, channels, allowed)
    canonical_form = canonical_json(draft, schema, folders)
    placements, members = _placements(draft, offers)
    layers = compile_layers(draft, {placement.placement_id: i for i, placement in enumerate(placements)}, offers)
    varied, members = variation(draft, layers, members, folders, model_index)
    stale = stale_offers(schema, [*conditions, *of_worth], _inputs_of_models(offers, offer_model, model_index, models), len(offers))
    rule_source = {**rules.source, **counters.source, **held_back.source, **stale_sources(draft, schema, stale)}
    return Bundle(
        name=draft.head["bundle"],
        digest=digest(canonical_form),
        currency=draft.head["currency"],
        time_zone=draft.head["time_zone"],
        schema=schema,
        purposes=purposes,
        profile_purpose=-1 if profile_purpose == "none" else purposes.index(profile_purpose),
        consent=consent_rules(draft, purposes),
        gpc_denies=_column(["gpc" in purpose.denied_by for purpose in draft.section("purposes", Purpose).values()], np.bool_),
        offers=tuple(
            Offer(name, offer.group or "", offer.value, payloads[name], draft.where(("offers", name))) for name, offer in offers.items()
        ),
        offer_index=MappingProxyType({name: k for k, name in enumerate(offers)}),
        placements=tuple(
            replace(placement, offers=_column(np.flatnonzero(may), np.intp)) for placement, may in zip(placements, members, strict=True)
        ),
        placement_index=MappingProxyType({placement.placement_id: i for i, placement in enumerate(placements)}),
        candidates=members,
        value=_column([offer.value for offer in offers.values()], np.float64),
        needs_purpose=_matrix([[p in _purposes(offer, groups) for p in purposes] for offer in offers.values()], len(purposes)),
        channels=tuple(channels),
        needs_channel=_column([names is not None for names in allowed], np.bool_),
        on_channel=_matrix([[names is None or c in names for c in channels] for names in allowed], len(channels)),
        starts_at_ms=_column([-np.inf if offer.starts_at is None else offer.starts_at for offer in offers.values()], np.float64),
        ends_at_ms=_column([np.inf if offer.until is None else offer.until for offer in offers.values()], np.float64),
        eligible_if=rules.eligible_if,
        applicable_if=rules.applicable_if,
        suitable_if=rules.suitable_if,
        suppress_if=rules.suppress_if,
        rule_source=MappingProxyType(rule_source),
        caps=counters.caps,
        cap_ids=_column([int.from_bytes(cap.cap_id, "little") for cap in counters.caps], np.uint64),
        offer_caps=counters.of_offer,
        pauses=counters.pauses,
        models=models,
        offer_model=_column(offer_model, np.intp),
        offer_output=_column([max(o, 0) for o in outputs], np.intp),
        base_rate=_column(rates, np.float64),
        layers=layers,
        variation=varied,
        layer_if=MappingProxyType({i: targeting[layer.name] for i, layer in enumerate(layers) if layer.name in targeting}),
        shadow=shadow_of(draft),
        suppressions=held_back,
        events=event_rules(draft),
        streams=definitions(draft, schema),
        stale_offers=MappingProxyType(stale),
        canonical_form=canonical_form,
        reviews=MappingProxyType(reviews(draft, canonical_form)),
        each_decision=MappingProxyType(each_decision(draft, canonical_form)),
        group_policies=tuple(group_policies(draft)),
        worth=worth_of(draft, factors, folders, model_index, untreated),
        clauses=clauses(draft, rule_source, inputs_of([*conditions, *of_layers, *of_worth])),
    )


def _inputs_of_models(
    offers: Mapping[str, OfferRule], offer_model: Sequence[int], model_index: Mapping[Any, int], models: Sequence[ModelSpec]
) -> list[list[frozenset[int]]]:
    """Return, for each offer, the inputs of each model that speaks of it."""
    found = []
    for offer, treated in zip(offers.values(), offer_model, strict=True):
        own = [treated] if treated >= 0 else []
        if offer.uplift is not None and offer.uplift.untreated is not None:
            own.append(model_index[offer.uplift.untreated.model])
        found.append([frozenset(column.input for column in models[m].inputs) for m in own])
    return found


def _column(values: Iterable[Any], kind: type[A]) -> NDArray[A]:
    column = np.array(list(values), dtype=kind)
    column.setflags(write=False)
    return column


def _matrix(rows: list[list[bool]], width: int) -> NDArray[np.bool_]:
    matrix = np.array(rows, dtype=np.bool_).reshape(len(rows), width)
    matrix.setflags(write=False)
    return matrix


def _purposes(offer: OfferRule, groups: Mapping[str, Group]) -> set[str]:
    return {*offer.purposes, *(groups[offer.group].purposes if offer.group else ())}


def _named_channels(draft: Draft, groups: Mapping[str, Group], offers: Mapping[str, OfferRule]) -> set[str]:
    """Return every channel that a rule names: the record says by name which of them a request came from."""
    named = {name for rule in (*groups.values(), *offers.values()) for name in rule.channels or ()}
    policy = draft.section("contact_policy", ContactChannels)
    return named | set(draft.entries["channel_permissions"]) | set(policy["channels"].root if policy else ())


def _channels(offer: OfferRule, groups: Mapping[str, Group]) -> set[str] | None:
    """Return the channels that both the offer and its group allow; None: all."""
    lists = [set(rule.channels) for rule in (offer, groups[offer.group] if offer.group else None) if rule and rule.channels is not None]
    return set.intersection(*lists) if lists else None


def _most_alike(rule: PlacementRule) -> int:
    return rule.diversity.max_per_group if rule.diversity else 0


def _placements(draft: Draft, offers: Mapping[str, OfferRule]) -> tuple[tuple[Placement, ...], NDArray[np.bool_]]:
    index = {name: k for k, name in enumerate(offers)}
    rules = draft.section("placements", PlacementRule)
    members = np.zeros((len(rules), len(offers)), dtype=np.bool_)
    placements = []
    for row, (name, rule) in enumerate(rules.items()):
        chosen = _column(sorted(index[offer] for offer in candidates(rule, offers)), np.intp)
        members[row, chosen] = True
        default, *later = [index[offer] for offer in rule.default_offers] or [-1]
        policy = policy_of(rule.select, list(offers))
        placements.append(Placement(name, chosen, default, rule.slots, policy, rule.valid_for, _most_alike(rule), rule.mode, tuple(later)))
    members.setflags(write=False)
    return tuple(placements), members
