"""Generated bundles with arms of every kind, walked in memory; and what their vectors must be, worked out the long way."""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from liftgate.adapters.grpc_answers import GrpcAnswers
from liftgate.adapters.memory_stores import MemoryReservations
from liftgate.adapters.onnx_models import OnnxModels
from liftgate.app.cases.world import Hands, NoLog, NoObserver
from liftgate.bundle.compiled import Bundle, ModelSpec
from liftgate.bundle.load import load_bundle
from liftgate.domain.batch import Batch
from liftgate.domain.bucketing import SPACE
from liftgate.domain.input import Floats
from liftgate.domain.request import DecideRequest
from liftgate.pipeline.decide import decide
from liftgate.pipeline.live import Live
from liftgate.pipeline.ports import Models
from liftgate.pipeline.walk import Ports, Walk
from tests.pipeline.workbench import BUNDLES, NOW_MS
from tests.replay.logbook import stock

MODELS = BUNDLES / "arms" / "models"
ABLATIONS = ("random_allowed", "propensity_only", "no_levers", "eligibility_only", "random_propensity")


def document(seed: int) -> dict[str, Any]:
    """Return a bundle of two placements: offers with everything that ranks, an experiment with arms of every kind, and an ablation."""
    dice = random.Random(seed)
    names = [f"o{i}" for i in range(dice.randint(3, 7))]
    offers: dict[str, Any] = {}
    for name in names:
        offer: dict[str, Any] = {"value": round(dice.uniform(0.1, 9), 2)}
        for key, part, rule in (
            ("propensity", 0.7, dice.choice(["likes", "fond"])),
            ("levers", 0.4, [{"name": "push", "factor": round(dice.uniform(0.2, 5), 2)}]),
            ("context_weight", 0.3, [{"if": 'context.channel == "app"', "weight": round(dice.uniform(0.2, 5), 2)}]),
            ("tier", 0.2, dice.choice([4, 6])),
            ("suitable_if", 0.3, f"profile.age < {dice.randint(10, 50)}"),
            ("eligible_if", 0.2, f"profile.age > {dice.randint(5, 30)}"),
            ("suppress_if", 0.2, f"profile.spend > {dice.randint(30, 59)}.0"),
        ):
            if dice.random() < part:
                offer[key] = rule
        offers[name] = offer
    arms: dict[str, Any] = {
        "control": {"share": 0.1},
        "newer": {"share": 0.1, "models": {"likes": 2}},
        "other": {"share": 0.1, "models": {"likes": "fond"}},
        "fewer": {"share": 0.1, "offers": dice.sample(names, dice.randint(1, len(names)))},
        "dearer": {"share": 0.1, "values": {name: round(dice.uniform(0.1, 9), 2) for name in dice.sample(names, 2)}},
        "seeking": {"share": 0.1, "select": {"policy": "epsilon_greedy", "epsilon": 0.5}},
        "even": {"share": 0.1, "select": {"policy": "uniform"}},
        "picky": {"share": 0.1, "minimum_value": round(dice.uniform(0, 3), 2), "minimum_propensity": 0.2},
    }
    own = dice.sample(names, dice.randint(2, len(names)))
    usual = {"policy": "epsilon_greedy", "epsilon": dice.choice([0.0, 0.1, 0.4])}
    thresholds = {"minimum_value": round(dice.uniform(0, 1), 2)} if dice.random() < 0.5 else {}
    return {
        "bundle": "arms",
        "currency": "EUR",
        "time_zone": "UTC",
        "profile_purpose": "none",
        "features": {"age": {"type": "int"}, "spend": {"type": "float", "default": 10.0}},
        "models": {name: {"version": 1, "outcome": "click", "horizon": "1d"} for name in ("likes", "fond")},
        "offers": offers,
        "placements": {
            "here": {"offers": own, "select": usual} | thresholds,
            "there": {"offers": "all", "select": {"policy": "epsilon_greedy", "epsilon": 0.2}},
        },
        "layers": {
            "universal": {"kind": "holdout", "salt": "u", "share": 0.1, "answer": "none"},
            "tried": {"kind": "experiment", "salt": "t", "placements": ["here"], "arms": arms},
            "impact": {"kind": "ablation", "salt": "i", "arms": dict.fromkeys(ABLATIONS, 0.1)},
        },
    }


def written(folder: Path, said: dict[str, Any]) -> Bundle:
    """Return the bundle of a document."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "bundle.yaml").write_text(json.dumps(said), encoding="utf-8")
    return load_bundle(folder, MODELS)


def everyone_in(bundle: Bundle, name: str, arm: str) -> Bundle:
    """Return the bundle with everybody in one arm of a layer."""
    layers = [
        layer if layer.name != name else replace(layer, arms=tuple(replace(one, start=0, width=w, used=w) for one, w in _all(layer, arm)))
        for layer in bundle.layers
    ]
    return replace(bundle, layers=tuple(layers))


def _all(layer: Any, arm: str) -> list[tuple[Any, int]]:
    return [(one, SPACE if one.name == arm else 0) for one in layer.arms]


@dataclass
class Counting:
    """Real models that remember how many rows each was asked for."""

    inner: Models
    rows: dict[tuple[str, int], int] = field(default_factory=dict)

    def score(self, model: ModelSpec, matrix: Floats) -> Floats:
        """See `pipeline.ports.Models`."""
        key = model.name, model.version
        self.rows[key] = self.rows.get(key, 0) + len(matrix)
        return self.inner.score(model, matrix)


def walked(bundle: Bundle, placement: str, people: int = 120, models: Models | None = None) -> Walk:
    """Return a walk of one request for everybody, half of them on channel app."""
    store = stock(bundle, people, NOW_MS)
    requests = [
        DecideRequest(f"r{i}", f"p-{i}", placement, idempotent=False, context=replace(_NOWHERE, channel="app" if i % 2 else "web"))
        for i in range(people)
    ]
    hands = Hands(NOW_MS)
    ports = Ports(
        profiles=store,
        reservations=MemoryReservations(history=store.history),
        log=NoLog(),
        answers=GrpcAnswers(),
        observer=NoObserver(),
        ids=hands,
        clock=hands,
        pseudonym=lambda _: bytes(16),
        pseudonym_key_id="none",
    )
    walk = Walk(Batch(requests, np.full(people, NOW_MS, dtype=np.int64)), Live(bundle, models or OnnxModels.load(bundle)), ports)
    asyncio.run(decide(walk))
    return walk


_NOWHERE = DecideRequest("", "", "").context


def arms_of(walk: Walk, row: int) -> dict[str, str]:
    """Return the arms of a row by layer."""
    pairs = zip(walk.live.bundle.layers, walk.batch.layer_arm[row].tolist(), strict=True)
    return {layer.name: layer.arms[arm].name for layer, arm in pairs if arm >= 0}


def vector(said: dict[str, Any], walk: Walk, row: int) -> dict[str, float]:
    """Return what each offer's probability must be, from the document, the row's arms, propensities and guardrail verdicts alone."""
    batch, names = walk.batch, [offer.offer_id for offer in walk.live.bundle.offers]
    request, arms = batch.requests[row], arms_of(walk, row)
    place, ablation = said["placements"][request.placement_id], arms.get("impact", "treatment")
    changes = said["layers"]["tried"]["arms"][arms["tried"]] if "tried" in arms else {}
    select = changes.get("select", place["select"])
    worth, full, rank, tiers, chance = {}, {}, {}, {}, {}
    for k, name in enumerate(names):
        if not batch.allowed[row, k]:
            continue
        offer = said["offers"][name]
        value = changes.get("values", {}).get(name, offer["value"])
        lever = offer["levers"][0]["factor"] if "levers" in offer else 1.0
        weight = offer["context_weight"][0]["weight"] if "context_weight" in offer and request.context.channel == "app" else 1.0
        chance[name] = float(batch.propensity[row, k])
        full[name] = chance[name] * value * lever * weight
        worth[name] = {
            "propensity_only": 1.0,
            "no_levers": value * weight,
            "eligibility_only": value,
        }.get(ablation, value * lever * weight)
        rank[name] = chance[name] * worth[name]
        tiers[name] = offer.get("tier", 5)
    least = changes.get("minimum_value", place.get("minimum_value", 0)), changes.get("minimum_propensity", 0)
    left = [name for name in worth if full[name] >= least[0] and chance[name] >= least[1]]
    if ablation not in ("propensity_only", "eligibility_only", "random_allowed"):
        left = [name for name in left if tiers[name] == min(tiers[other] for other in left)]
    drawn = dict.fromkeys(names, 0.0)
    if not left:
        return drawn
    if ablation == "random_propensity":
        return drawn | _areas({name: worth[name] for name in left})
    epsilon = 1.0 if ablation == "random_allowed" or select["policy"] == "uniform" else select["epsilon"]
    top = max(rank[name] for name in left)
    best = [name for name in left if rank[name] == top]
    for name in left:
        drawn[name] = epsilon / len(left) + (1 - epsilon) / len(best) * (name in best)
    return drawn


def _areas(worth: dict[str, float], cells: int = 4_000) -> dict[str, float]:
    """Return P(u x worth is the largest) for even and independent u, by the midpoint rule."""
    u = (np.arange(cells) + 0.5) / cells
    found = {}
    for name, own in worth.items():
        under = np.ones(cells)
        for other, its in worth.items():
            if other != name:
                under *= np.minimum(1.0, own * u / its)
        found[name] = float(under.mean())
    return found


def guarded(walk: Walk, row: int) -> Sequence[int]:
    """Return [K] what the guardrails said before arms excused or left out anything: 1 where an offer passed."""
    batch = walk.batch
    codes = batch.reason[row].copy()
    if batch.shadow_reason is not None:
        noted = (batch.shadow_reason[row] > 0) & ((codes == 1) | (codes == 57))
        codes[noted] = batch.shadow_reason[row][noted]
    codes[codes == 57] = 1
    said: Sequence[int] = codes.tolist()
    return said
