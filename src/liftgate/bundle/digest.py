"""The digest of a bundle: SHA-256 of its canonical JSON. Comments, layout, key order and file split change nothing."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

import orjson

from liftgate.bundle.conditions import canonical
from liftgate.bundle.model_specs import ModelFolder
from liftgate.bundle.schema import CapRule, ContextInput, Feature, Group, HoldoutRule, ModelPin, OfferRule, PlacementRule, Purpose
from liftgate.bundle.sections import HEADS, Draft
from liftgate.domain.input import InputSchema

FORMAT = 1
"""Raised whenever the same text would mean something else."""


def canonical_json(draft: Draft, schema: InputSchema, folders: Mapping[str, ModelFolder]) -> bytes:
    """Return the bundle with defaults filled in, keys sorted, durations and times in milliseconds, and its models' manifests."""
    document: dict[str, Any] = {"format": FORMAT} | {key: draft.head[key] for key in HEADS}
    document["features"] = {name: _feature(name, feature, schema) for name, feature in draft.section("features", Feature).items()}
    document["context"] = {name: item.model_dump() for name, item in draft.section("context", ContextInput).items()}
    document["purposes"] = {name: {"denied_by": sorted(set(p.denied_by))} for name, p in draft.section("purposes", Purpose).items()}
    document["models"] = {name: pin.model_dump() for name, pin in draft.section("models", ModelPin).items()}
    document["groups"] = {name: _rules(group) for name, group in draft.section("groups", Group).items()}
    document["offers"] = {name: _offer(offer, folders) for name, offer in draft.section("offers", OfferRule).items()}
    document["placements"] = {name: _placement(rule) for name, rule in draft.section("placements", PlacementRule).items()}
    document["layers"] = {name: layer.model_dump() for name, layer in draft.section("layers", HoldoutRule).items()}
    document["manifests"] = {name: folder.manifest.model_dump() for name, folder in folders.items() if folder.manifest}
    return orjson.dumps(document, option=orjson.OPT_SORT_KEYS)


def digest(canonical_form: bytes) -> str:
    """Return 64 hexadecimal digits."""
    return hashlib.sha256(canonical_form).hexdigest()


def _feature(name: str, feature: Feature, schema: InputSchema) -> dict[str, Any]:
    column = schema.inputs[schema.index[f"profile.{name}"]]
    # Values keep their order: it is the order of the stored codes.
    return feature.model_dump() | {"default": column.decode(column.default)}


def _cap(cap: CapRule) -> dict[str, Any]:
    return {"max": cap.max, "per_ms": cap.per, "counts": cap.counts, "lease_ms": cap.lease_ms}


def _rules(rule: Group | OfferRule) -> dict[str, Any]:
    return {
        "purposes": sorted(set(rule.purposes)),
        "channels": None if rule.channels is None else sorted(set(rule.channels)),
        "eligible_if": None if rule.eligible_if is None else canonical(rule.eligible_if),
        "suppress_if": None if rule.suppress_if is None else canonical(rule.suppress_if),
        "caps": sorted((_cap(cap) for cap in rule.caps), key=repr),
    } | _later(rule)


def _later(rule: Group | OfferRule) -> dict[str, Any]:
    """Return keys that came after format 1 was published, where they are used: bundles without them keep their digests."""
    conditions = {kind: getattr(rule, kind) for kind in ("applicable_if", "suitable_if")}
    return {kind: canonical(text) for kind, text in conditions.items() if text is not None}


def _offer(offer: OfferRule, folders: Mapping[str, ModelFolder]) -> dict[str, Any]:
    propensity = None if offer.propensity is None else offer.propensity.model_dump()
    if propensity is not None and propensity["output"] is None:
        manifest = folders[propensity["model"]].manifest
        propensity["output"] = manifest.outputs[0].name if manifest else None
    return _rules(offer) | {
        "group": offer.group,
        "value": offer.value,
        "propensity": propensity,
        "starts_at_ms": offer.starts_at,
        "until_ms": offer.until,
        "payload": offer.payload,
    }


def _placement(rule: PlacementRule) -> dict[str, Any]:
    if rule.offers == "all":
        candidates: Any = "all"
    elif isinstance(rule.offers, list):
        candidates = {"offers": sorted(set(rule.offers))}
    else:
        candidates = {"groups": sorted(set(rule.offers.groups))}
    return rule.model_dump(exclude={"offers"}) | {"offers": candidates}
