"""The bench's shop: a bundle of K offers with the guardrails of the first version on, and one linear model, written as files."""

from __future__ import annotations

import json
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from liftgate.adapters.onnx_runtime import ort
from liftgate.bundle.compiled import Bundle
from liftgate.bundle.load import load_bundle
from liftgate.domain.bucketing import Salt

from .traffic import PLACEMENT

BUNDLE, MODELS = "bundle", "models"
"""Subdirectories of a shop."""
PROFILE_PURPOSE = "personalization"
PURPOSES = (PROFILE_PURPOSE, "marketing")
COUNTRIES = ("DE", "FR", "NL")
TIERS = ("none", "silver", "gold")
NUMBERS = {  # name: (type, largest value, default)
    "age": ("int", 95, None),
    "tenure_days": ("int", 3000, 0),
    "orders_90d": ("int", 12, 0),
    "visits_30d": ("int", 40, 0),
    "views_1h": ("int", 15, 0),
    "email_opens_30d": ("int", 20, 0),
    "spend_90d": ("float", 1200.0, 0.0),
    "spend_365d": ("float", 4000.0, 0.0),
    "basket_average": ("float", 200.0, 50.0),
    "discount_share": ("float", 1.0, 0.0),
    "days_since_purchase": ("float", 120.0, 365.0),
    "days_since_visit": ("float", 30.0, 365.0),
    "returns_share": ("float", 1.0, 0.0),
    "price_sensitivity": ("float", 1.0, 0.5),
    "affinity_home": ("float", 1.0, 0.0),
    "affinity_garden": ("float", 1.0, 0.0),
    "affinity_sport": ("float", 1.0, 0.0),
    "affinity_books": ("float", 1.0, 0.0),
    "affinity_music": ("float", 1.0, 0.0),
}
FLAGS = ("has_app", "newsletter", "credit_ok")
ELIGIBLE = (
    "profile.age >= 18",
    'profile.country in ["DE", "FR"]',
    "profile.spend_90d < 1000.0 && profile.tenure_days > 90",
    'context.device == "mobile" || profile.visits_30d > 5',
    'profile.tier != "gold"',
    None,
)
SUPPRESS = ("profile.days_since_purchase < 3.0", "profile.returns_share > 0.9", None, "profile.views_1h == 0 && profile.newsletter", None)
GROUPS = 4
_MODEL = "conversion"


def features() -> dict[str, Any]:
    """Return the bundle's 24 features."""
    found: dict[str, Any] = {name: {"type": kind, "default": default} for name, (kind, _, default) in NUMBERS.items()}
    found["days_since_purchase"]["max_age"] = "1d"
    found |= {name: {"type": "bool", "default": False} for name in FLAGS}
    found |= {
        "country": {"type": "string", "values": list(COUNTRIES)},
        "tier": {"type": "string", "values": list(TIERS), "default": "none"},
    }
    return found


def _distinct(i: int) -> dict[str, str]:
    """Return conditions that no other offer has: comparisons with numbers of its own, as targeting is written."""
    return {
        "eligible_if": f"profile.age >= {18 + i % 40} && profile.tenure_days > {i}",
        "applicable_if": f'profile.country != "{COUNTRIES[i % 3]}" || profile.spend_90d < {500.0 + i}',
        "suitable_if": f"profile.spend_365d < {1000.0 + 7 * i} && profile.price_sensitivity > {i / 2000}",
        "suppress_if": f"profile.days_since_purchase < {1.0 + i / 250} || profile.returns_share > {0.5 + i / 2000}",
    }


def bundle(offers: int, distinct: bool = False) -> dict[str, Any]:
    """Return the bundle of that many offers, the default offer among them. A fifth cannot be shown now; caps hardly ever bind.

    `distinct`: every offer has four conditions that no other has, instead of a few that many share.
    """
    catalog: dict[str, Any] = {"welcome": {"value": 0.5, "payload": {"title": "Welcome", "image": "welcome.png"}}}
    for i in range(1, offers):
        offer: dict[str, Any] = {
            "group": f"group-{i % GROUPS}",
            "value": 1.0 + i * 37 % 90 / 10,
            "propensity": {"model": _MODEL, "output": f"offer_{i}"},
            "purposes": [PROFILE_PURPOSE] if i % 3 else list(PURPOSES),
            "channels": ["web", "app"] if i % 7 else ["email"],
            "from": "2030-01-01T00:00:00Z" if i % 20 == 9 else "2024-01-01T00:00:00Z",
            "until": "2025-01-01T00:00:00Z" if i % 20 == 19 else "2040-01-01T00:00:00Z",
            "payload": {"title": f"Offer number {i}", "image": f"offer-{i}.png"},
        }
        for key, choice in (("eligible_if", ELIGIBLE[i % len(ELIGIBLE)]), ("suppress_if", SUPPRESS[i % len(SUPPRESS)])):
            if choice and not distinct:
                offer[key] = choice
        if distinct:
            offer |= _distinct(i)
        if i % 5 == 0:
            offer["caps"] = [{"max": 20, "per": "60s"}]
        catalog[f"offer-{i:03d}"] = offer
    return {
        "bundle": "bench",
        "currency": "EUR",
        "time_zone": "Europe/Berlin",
        "profile_purpose": PROFILE_PURPOSE,
        "features": features(),
        "purposes": {PROFILE_PURPOSE: {"denied_by": ["gpc"]}, "marketing": {}},
        "models": {_MODEL: {"version": 1, "outcome": "purchase", "horizon": "7d"}},
        "groups": {f"group-{g}": {"caps": [{"max": 50, "per": "60s"}]} for g in range(GROUPS)},
        "offers": catalog,
        "placements": {
            PLACEMENT: {"offers": "all", "default_offer": "welcome", "slots": 1, "select": {"policy": "epsilon_greedy", "epsilon": 0.1}}
        },
        "layers": {"universal": {"kind": "holdout", "unit": "person", "salt": "bench-universal", "share": 0.05, "answer": "none"}},
    }


def write(folder: Path, offers: int, distinct: bool = False, declared: dict[str, Any] | None = None) -> None:
    """Write the bundle to `folder/bundle` and its model to `folder/models`; `distinct`: see `bundle`. `declared`: this bundle instead."""
    bundle_dir, models_dir = folder / BUNDLE, folder / MODELS
    model_dir = models_dir / _MODEL / "1"
    bundle_dir.mkdir(parents=True)
    model_dir.mkdir(parents=True)
    # JSON is YAML.
    (bundle_dir / "bundle.yaml").write_text(json.dumps(declared or bundle(offers, distinct), indent=1))
    _write_model(model_dir, offers)


def compiled(folder: Path) -> Bundle:
    """Return what `write` wrote, compiled."""
    return load_bundle(folder / BUNDLE, folder / MODELS)


def _uniform(*key: object) -> float:
    return Salt("bench").uniform("/".join(map(str, key)))


def _columns() -> Iterator[tuple[dict[str, Any], float]]:
    """Yield each model input with the size of its values."""
    for name, (_, largest, default) in NUMBERS.items():
        yield {"input": f"profile.{name}", "missing": float(default or 0)}, float(largest)
    for name in FLAGS:
        yield {"input": f"profile.{name}", "missing": 0.0}, 1.0
    for name, values in (("country", COUNTRIES), ("tier", TIERS)):
        for value in values[1:]:
            yield {"input": f"profile.{name}", "equals": value, "missing": 0.0}, 1.0


def _write_model(folder: Path, offers: int) -> None:
    columns = list(_columns())
    outputs = range(1, offers)
    weights = np.array([[(_uniform(i, k) - 0.5) / scale for k in outputs] for i, (_, scale) in enumerate(columns)], dtype=np.float32)
    bias = np.array([-3.0 + _uniform("bias", k) for k in outputs], dtype=np.float32)
    graph = helper.make_graph(
        [helper.make_node("Gemm", ["input", "weights", "bias"], ["logits"]), helper.make_node("Sigmoid", ["logits"], ["probabilities"])],
        "conversion",
        [helper.make_tensor_value_info("input", TensorProto.FLOAT, [None, len(columns)])],
        [helper.make_tensor_value_info("probabilities", TensorProto.FLOAT, [None, len(outputs)])],
        [numpy_helper.from_array(weights, "weights"), numpy_helper.from_array(bias, "bias")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    onnx.checker.check_model(model)
    raw = model.SerializeToString()
    (folder / "model.onnx").write_bytes(raw)
    golden = np.array([[scale * _uniform("golden", row, i) for i, (_, scale) in enumerate(columns)] for row in range(4)])
    session = ort.InferenceSession(raw, providers=["CPUExecutionProvider"])
    answers = session.run(["probabilities"], {"input": golden.astype(np.float32)})[0]
    manifest = {
        "sha256": sha256(raw).hexdigest(),
        "size": len(raw),
        "opset": 17,
        "input": "input",
        "output": "probabilities",
        "inputs": [column for column, _ in columns],
        "outputs": [{"name": f"offer_{k}", "column": at, "base_rate": 0.05 + k % 7 / 200} for at, k in enumerate(outputs)],
        "golden": {"inputs": golden.tolist(), "outputs": answers.astype(float).tolist()},
        "card": {"what": "Made-up weights for the bench."},
    }
    (folder / "model.yaml").write_text(json.dumps(manifest, indent=1))
