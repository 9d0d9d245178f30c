"""The digest of a bundle: SHA-256 of its canonical JSON. Comments, layout, key order and file split change nothing."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

import orjson

from liftgate.bundle.conditions import canonical
from liftgate.bundle.events import events_form
from liftgate.bundle.features import feature_form
from liftgate.bundle.layers import layer_form, layer_rules
from liftgate.bundle.model_specs import ModelFolder
from liftgate.bundle.schema import ContextInput, Feature, Group, ModelPin, OfferRule, PlacementRule
from liftgate.bundle.schema_caps import CapRule
from liftgate.bundle.schema_consent import ChannelPermission, Purpose
from liftgate.bundle.schema_review import ReviewRule
from liftgate.bundle.schema_suppression import GuardrailMode
from liftgate.bundle.sections import HEADS, Draft
from liftgate.bundle.worth_form import manifest_form, output_form, worth_form
from liftgate.domain.input import InputSchema

FORMAT = 1
"""Raised whenever the same text would mean something else."""


def canonical_json(draft: Draft, schema: InputSchema, folders: Mapping[str, ModelFolder]) -> bytes:
    """Return the bundle with defaults filled in, keys sorted, durations and times in milliseconds, and its models' manifests."""
    document: dict[str, Any] = {"format": FORMAT} | {key: draft.head[key] for key in HEADS}
    document["features"] = {name: _feature(name, feature, schema) for name, feature in draft.section("features", Feature).items()}
    document["context"] = {name: item.model_dump() for name, item in draft.section("context", ContextInput).items()}
    document["purposes"] = {name: purpose_form(purpose) for name, purpose in draft.section("purposes", Purpose).items()}
    document["models"] = {name: pin.model_dump() for name, pin in draft.section("models", ModelPin).items()}
    document["groups"] = {name: _rules(group) | worth_form(group, folders) for name, group in draft.section("groups", Group).items()}
    document["offers"] = {name: _offer(offer, folders) for name, offer in draft.section("offers", OfferRule).items()}
    document["placements"] = {name: _placement(rule) for name, rule in draft.section("placements", PlacementRule).items()}
    document["layers"] = {name: layer_form(layer) for name, layer in layer_rules(draft).items()}
    document["manifests"] = {name: manifest_form(folder.manifest) for name, folder in folders.items() if folder.manifest}
    return orjson.dumps(
        document | _consent(draft) | _contact_policy(draft) | _review(draft) | _suppression(draft) | events_form(draft),
        option=orjson.OPT_SORT_KEYS,
    )


def digest(canonical_form: bytes) -> str:
    """Return 64 hexadecimal digits."""
    return hashlib.sha256(canonical_form).hexdigest()


def _feature(name: str, feature: Feature, schema: InputSchema) -> dict[str, Any]:
    column = schema.inputs[schema.index[f"profile.{name}"]]
    # Values keep their order: it is the order of the stored codes.
    form = feature.model_dump(exclude={"on_stale", "from_events"}) | {"default": column.decode(column.default)}
    # What came after format 1 was published, where it is used: bundles without it keep their digests.
    form |= {"on_stale": feature.on_stale} if feature.on_stale != "default" else {}
    return form | ({"from": feature_form(feature.from_events)} if feature.from_events is not None else {})


def purpose_form(purpose: Purpose) -> dict[str, Any]:
    """Return a purpose as the digest has it."""
    return {"denied_by": sorted(set(purpose.denied_by))} | ({"default": purpose.default} if purpose.default else {})


def _consent(draft: Draft) -> dict[str, Any]:
    """Return what came after format 1 was published, where it is used: bundles without it keep their digests."""
    permissions = {name: permission.root for name, permission in draft.section("channel_permissions", ChannelPermission).items()}
    purpose = draft.head.get("experiment_purpose", "none")
    found: dict[str, Any] = {} if purpose == "none" else {"experiment_purpose": purpose}
    return found | ({"channel_permissions": permissions} if permissions else {})


def _contact_policy(draft: Draft) -> dict[str, Any]:
    policy = {name: part.model_dump() for name, part in draft.entries["contact_policy"].items()}
    return {"contact_policy": policy} if policy else {}


def _review(draft: Draft) -> dict[str, Any]:
    classes = {name: rule.model_dump() for name, rule in draft.section("review_classes", ReviewRule).items()}
    policy = {name: limit.model_dump() for name, limit in draft.entries["review_policy"].items()}
    return ({"review_classes": classes} if classes else {}) | ({"review_policy": policy} if policy else {})


def _suppression(draft: Draft) -> dict[str, Any]:
    """Return what came after format 1 was published, where it is used: bundles without it keep their digests."""
    found: dict[str, dict[str, Any]] = {
        "guardrails": {name: mode.root for name, mode in draft.section("guardrails", GuardrailMode).items() if mode.root != "enforce"}
    }
    for section in ("lists", "exclusions"):
        found[section] = {
            name: {key: sorted(value) if isinstance(value, list) else value for key, value in entry.model_dump().items()}
            for name, entry in draft.entries[section].items()
        }
    return {section: entries for section, entries in found.items() if entries}


def cap_form(cap: CapRule) -> dict[str, Any]:
    """Return a cap as the digest has it, times in milliseconds."""
    later = {"scope": "person", "zone": "bundle", "pace": None, "when_unavailable": "deny"}
    known = {"max": cap.max, "per_ms": cap.per, "counts": cap.counts, "lease_ms": cap.lease_ms}
    return known | {key: getattr(cap, key) for key, usual in later.items() if getattr(cap, key) != usual}


def _rules(rule: Group | OfferRule) -> dict[str, Any]:
    return {
        "purposes": sorted(set(rule.purposes)),
        "channels": None if rule.channels is None else sorted(set(rule.channels)),
        "eligible_if": None if rule.eligible_if is None else canonical(rule.eligible_if),
        "suppress_if": None if rule.suppress_if is None else canonical(rule.suppress_if),
        "caps": sorted((cap_form(cap) for cap in rule.caps), key=repr),
    } | _later(rule)


def _later(rule: Group | OfferRule) -> dict[str, Any]:
    """Return keys that came after format 1 was published, where they are used: bundles without them keep their digests."""
    conditions = {kind: getattr(rule, kind) for kind in ("applicable_if", "suitable_if")}
    found: dict[str, Any] = {kind: canonical(text) for kind, text in conditions.items() if text is not None}
    if rule.sensitive:
        found["sensitive"] = True if rule.sensitive is True else sorted(rule.sensitive)
    if getattr(rule, "review_each_decision", False):
        found["review_each_decision"] = True
    if rule.review is not None:
        found["review"] = rule.review.model_dump()
    if rule.shadow:
        found["shadow"] = sorted(set(rule.shadow))
    if isinstance(rule, Group) and rule.select is not None:
        found["select"] = rule.select.model_dump(exclude_none=True)
    return found | ({"pauses": sorted((pause.model_dump() for pause in rule.pauses), key=repr)} if rule.pauses else {})


def _offer(offer: OfferRule, folders: Mapping[str, ModelFolder]) -> dict[str, Any]:
    return (
        _rules(offer)
        | worth_form(offer, folders)
        | {
            "group": offer.group,
            "value": offer.value,
            "propensity": None if offer.propensity is None else output_form(offer.propensity, folders),
            "starts_at_ms": offer.starts_at,
            "until_ms": offer.until,
            "payload": offer.payload,
        }
    )


def _placement(rule: PlacementRule) -> dict[str, Any]:
    if rule.offers == "all":
        candidates: Any = "all"
    elif isinstance(rule.offers, list):
        candidates = {"offers": sorted(set(rule.offers))}
    else:
        candidates = {"groups": sorted(set(rule.offers.groups))}
    # Keys that came after format 1 was published stand in it where they are used.
    said = {key: value for key, value in rule.model_dump(exclude={"offers", "select", "default_offers"}).items() if value is not None}
    said["default_offer"] = next(iter(rule.default_offers), None)
    if len(rule.default_offers) > 1:
        said["later_defaults"] = rule.default_offers[1:]
    if rule.mode == "online":
        del said["mode"]
    return said | {"offers": candidates, "select": rule.select.model_dump(exclude_none=True)}
