"""Layers as plain data, for a terminal or JSON: all of a bundle's, or where one person stands in each and why."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from math import isfinite
from typing import Any

from liftgate.app.counted import counted
from liftgate.bundle.compiled import Bundle
from liftgate.domain.bucketing import SPACE
from liftgate.domain.layer import Layer
from liftgate.selection.layers import Assigner, Layers


def moment(ms: float) -> str | None:
    """Return a moment as ISO 8601, None where it is infinite."""
    return datetime.fromtimestamp(ms / 1000, UTC).isoformat().replace("+00:00", "Z") if isfinite(ms) else None


def state(layer: Layer, now_ms: int) -> str:
    """Return where a layer stands: planned, running, ended, or empty where nobody can be in its arms."""
    if now_ms < layer.starts_at_ms:
        return "planned"
    if now_ms >= layer.ends_at_ms:
        return "ended"
    first = layer.arms[:1] if layer.kind in ("holdout", "model_control") else layer.arms
    return "running" if any(arm.used for arm in first) else "empty"


def shown(bundle: Bundle, now_ms: int) -> dict[str, Any]:
    """Return every layer, and the namespaces that exclusive ones share."""
    namespaces: dict[str, list[dict[str, Any]]] = {}
    for layer in bundle.layers:
        if layer.exclusive is not None:
            part = layer.exclusive
            entry = {"layer": layer.name, "from": part.start / SPACE, "to": part.end / SPACE, "state": state(layer, now_ms)}
            namespaces.setdefault(part.namespace, []).append(entry)
    return {
        "bundle": bundle.name,
        "digest": bundle.digest,
        "layers": [_layer(bundle, index, layer, now_ms) for index, layer in enumerate(bundle.layers)],
        "namespaces": {name: sorted(parts, key=lambda part: part["from"]) for name, parts in sorted(namespaces.items())},
        "experiment_purpose": _purpose(bundle),
    }


def _layer(bundle: Bundle, index: int, layer: Layer, now_ms: int) -> dict[str, Any]:
    condition = bundle.layer_if.get(index)
    withholds = None if layer.withholds is None else [bundle.offers[k].offer_id for k in layer.withholds.tolist()]
    return {
        "layer": layer.name,
        "kind": layer.kind,
        "state": state(layer, now_ms),
        "unit": layer.unit,
        "salt": list(layer.salt_parts),
        "phase": layer.phase,
        "coverage": layer.coverage if layer.kind in ("ablation", "experiment") else None,
        "space": layer.space,
        "arms": [
            {
                "arm": arm.name,
                "from": arm.start / SPACE,
                "to": (arm.start + arm.width) / SPACE,
                "in_use_to": (arm.start + arm.used) / SPACE,
                "share": layer.share_of(i),
            }
            for i, arm in enumerate(layer.arms)
        ],
        "answer": layer.answer if layer.kind == "holdout" else None,
        "withholds": withholds,
        "from": moment(layer.starts_at_ms),
        "until": moment(layer.ends_at_ms),
        "placements": None if layer.placements is None else [bundle.placements[p].placement_id for p in layer.placements],
        "channels": None if layer.channels is None else list(layer.channels),
        "if": None if condition is None else condition.text,
        "exclusive": None if layer.exclusive is None else layer.exclusive.namespace,
        "owner": layer.owner or None,
        "hypothesis": layer.hypothesis or None,
        "metric": layer.metric or None,
        "n_star": layer.n_star or None,
        "source": layer.source,
    }


def _purpose(bundle: Bundle) -> str | None:
    purpose = bundle.consent.experiment_purpose
    return bundle.purposes[purpose] if purpose >= 0 else None


@dataclass(frozen=True, slots=True)
class Asked:
    """Whom and where `whose` is asked about."""

    units: Mapping[str, str]
    """By kind of unit: its id; kinds that are not named are not in it."""
    placement: int | None
    """Index; None: not said, so placements are not looked at."""
    channel: str | None
    now_ms: int


def whose(bundle: Bundle, asked: Asked) -> dict[str, Any]:
    """Return where each layer puts a unit and why. What only a decision knows (`if:`, consent) is said, not guessed."""
    found = [_one(bundle, index, one, asked) for index, one in enumerate(Layers(bundle.layers).each)]
    return {"bundle": bundle.name, "digest": bundle.digest, "layers": found, "experiment_purpose": _purpose(bundle)}


def _one(bundle: Bundle, index: int, one: Assigner, asked: Asked) -> dict[str, Any]:
    layer, unit = one.layer, asked.units.get(one.layer.unit, "")
    arm = one.arm(unit)
    bucket, part = one.bucket(unit), one.namespace_bucket(unit)
    why_not = _why_not(bundle, one, asked, unit, arm)
    condition = bundle.layer_if.get(index)
    return {
        "layer": layer.name,
        "kind": layer.kind,
        "phase": layer.phase,
        "unit": layer.unit,
        "arm": None if why_not else layer.arms[arm].name,
        "why": why_not or _why(layer, arm, bucket),
        "bucket": bucket if unit else None,
        "namespace_bucket": part if unit and part >= 0 else None,
        "if": None if condition is None or why_not else condition.text,
    }


def _why(layer: Layer, arm: int, bucket: int) -> str:
    has = layer.arms[arm]
    where = f"bucket {bucket:,} lies in {has.start:,} to {has.start + has.used - 1:,}"
    if layer.kind == "holdout" and arm == 0:
        return f"{where}: {'held out of everything' if layer.universal else 'held out of its offers'}"
    return where


def _why_not(bundle: Bundle, one: Assigner, asked: Asked, unit: str, arm: int) -> str:
    """Return why a unit is in no arm; empty: it is in one."""
    layer = one.layer
    if not unit:
        return f"drawn by {layer.unit}, and none is named"
    if asked.now_ms < layer.starts_at_ms:
        return f"begins at {moment(layer.starts_at_ms)}"
    if asked.now_ms >= layer.ends_at_ms:
        return f"ended at {moment(layer.ends_at_ms)}"
    if asked.placement is not None and layer.placements is not None and asked.placement not in layer.placements:
        return f"does not look at {bundle.placements[asked.placement].placement_id}"
    if asked.channel is not None and layer.channels is not None and asked.channel not in layer.channels:
        return f"looks at {', '.join(layer.channels)} alone"
    if arm >= 0:
        return ""
    bucket, part = one.bucket(unit), one.namespace_bucket(unit)
    if layer.exclusive is not None and not layer.exclusive.start <= part < layer.exclusive.end:
        has = f"{layer.exclusive.start:,} to {layer.exclusive.end - 1:,}"
        return f"namespace {layer.exclusive.namespace}: bucket {part:,}, and the layer has {has}"
    for each in layer.arms:
        if each.start <= bucket < each.start + each.width:
            return f"bucket {bucket:,} is kept for {each.name}, which has {each.used:,} of its {counted(each.width, 'bucket')} in use"
    return f"bucket {bucket:,} belongs to no arm"
