"""What is written of worth, as the digest and a review have it: keys that are used, conditions without layout, order without meaning."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from liftgate.bundle.conditions import canonical
from liftgate.bundle.manifest import Manifest
from liftgate.bundle.model_specs import ModelFolder
from liftgate.bundle.schema import Group, OfferRule
from liftgate.bundle.schema_value import ContextWeight, Lever, ModelOutput

FACTORS = ("levers", "context_weight")
"""Keys of groups and offers that hold conditional multipliers."""


def lever_form(lever: Lever) -> dict[str, Any]:
    """Return a lever, times in milliseconds."""
    known = {
        "name": lever.name,
        "percent": lever.percent,
        "factor": lever.factor,
        "if": None if lever.condition is None else canonical(lever.condition),
        "starts_at_ms": lever.starts_at,
        "until_ms": lever.until,
    }
    return {key: value for key, value in known.items() if value is not None}


def weight_form(weight: ContextWeight) -> dict[str, Any]:
    """Return a context weight."""
    return {"if": canonical(weight.condition), "weight": weight.weight}


def worth_form(rule: Group | OfferRule, folders: Mapping[str, ModelFolder]) -> dict[str, Any]:
    """Return what a group or offer says of worth beside value and propensity; empty: nothing. Lists stand in an order of their own."""
    found = worth_as_written(rule)
    if "levers" in found:
        found["levers"].sort(key=lambda lever: str(lever["name"]))
    if "context_weight" in found:
        found["context_weight"].sort(key=repr)
    if isinstance(rule, OfferRule) and rule.uplift is not None:
        pair = {key: output_form(getattr(rule.uplift, key), folders) for key in ("treated", "untreated")}
        found["uplift"] = pair | ({"allow_negative": True} if rule.uplift.allow_negative else {})
    return found


def worth_as_written(rule: Group | OfferRule) -> dict[str, Any]:
    """Return the same but for uplift, lists in the order in which they are written."""
    found: dict[str, Any] = {}
    if rule.levers:
        found["levers"] = [lever_form(lever) for lever in rule.levers]
    if rule.context_weight:
        found["context_weight"] = [weight_form(weight) for weight in rule.context_weight]
    if rule.tier is not None:
        found["tier"] = rule.tier
    if rule.smoothing is not None:
        found["smoothing"] = rule.smoothing.model_dump()
    if isinstance(rule, OfferRule) and rule.evidence is not None:
        found["evidence"] = rule.evidence.model_dump(exclude_none=True)
    return found


def output_form(output: ModelOutput, folders: Mapping[str, ModelFolder]) -> dict[str, Any]:
    """Return a model's output, by its name where the model has one alone."""
    name = output.output
    if name is None:
        manifest = folders[output.model].manifest
        name = manifest.outputs[0].name if manifest else None
    return {"model": output.model, "output": name}


def manifest_form(manifest: Manifest) -> dict[str, Any]:
    """Return a manifest; evidence stands in it where it is written."""
    found = manifest.model_dump()
    for output in found["outputs"]:
        if output["evidence"] is None:
            del output["evidence"]
        elif output["evidence"]["trials"] is None:
            del output["evidence"]["trials"]
    return found
