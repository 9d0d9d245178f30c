"""Trains the demo's two models on a simulated, fully randomised history and writes them with their manifests.

    python -m liftgate.demo.make_models [FOLDER]

One logistic regression for each offer, on people of another seed than the demo's. The models see what the service would
see, with its holes and old values, and they know nothing of the interaction in the truth: decent, and not perfect.
"""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from liftgate.demo.people import TEXTS, People, people
from liftgate.demo.truth import EFFECTS, Truth, Z
from liftgate.demo.visits import moments
from liftgate.domain.input import Floats

SEED = 20_260_101
PEOPLE = 240_000
RIDGE = 20.0
"""Times the squared norm of the weights, in units of log-likelihood."""
GOLDEN_ROWS = 12
CONTEXT_OFFERS = ("gift-card", "click-and-collect", "app-install")
PROFILE_OFFERS = tuple(offer for offer in EFFECTS if offer not in (*CONTEXT_OFFERS, "welcome"))


@dataclass(frozen=True, slots=True)
class Column:
    """One column of a model's matrix."""

    input: str
    equals: str | bool | None = None
    centre: float = 0.0
    scale: float = 1.0


PROFILE_COLUMNS = (
    *(Column(f"profile.{trait}", None, *Z[trait]) for trait in Z if trait != "app_installed"),
    Column("profile.app_installed", True),
    *(Column("profile.loyalty_tier", tier) for tier in ("silver", "gold")),
    *(Column("profile.favourite_category", category) for category in TEXTS["favourite_category"]),
)
CONTEXT_COLUMNS = (
    Column("context.basket_value", None, 20.0, 30.0),
    Column("context.device", "mobile"),
    Column("context.channel", "app"),
)


def profile_matrix(shoppers: People) -> Floats:
    """Return [N, columns] as the service would feed it: centres where nothing is stored, bundle defaults where it is stale."""
    return np.stack([_profile_column(shoppers, column) for column in PROFILE_COLUMNS], axis=1)


def _profile_column(shoppers: People, column: Column) -> Floats:
    name = column.input.removeprefix("profile.")
    trait, hole = shoppers.traits[name], shoppers.hole.get(name)
    if column.equals is not None:
        wanted = TEXTS[name].index(column.equals) if isinstance(column.equals, str) else 1
        result: Floats = np.asarray(trait == wanted, dtype=np.float64)
        return result if hole is None else np.where(hole, 0.0, result)
    if name in shoppers.stale:
        trait = np.where(shoppers.stale[name], {"days_since_visit": 30.0}.get(name, 0.0), trait)
    return trait if hole is None else np.where(hole, column.centre, trait)


def context_matrix(shoppers: People, seed: int) -> tuple[Floats, Sequence[int]]:
    """Return [visits, columns] of web and app visits, and who came."""
    found = moments(shoppers, len(shoppers), seed)
    here = found.placement != 2
    columns = [np.where(found.placement == 1, found.basket_value, 0.0), found.mobile, found.app]
    return np.stack(columns, axis=1)[here].astype(np.float64), found.person[here].tolist()


def fit(matrix: Floats, bought: Floats) -> tuple[Floats, float]:
    """Return weights and intercept of a ridge logistic regression, by Newton's method."""
    design = np.hstack([matrix, np.ones((len(matrix), 1))])
    penalty = np.full(design.shape[1], RIDGE)
    penalty[-1] = 0.0
    weights = np.zeros(design.shape[1])
    for _ in range(30):
        p = 1.0 / (1.0 + np.exp(-(design @ weights)))
        gradient = design.T @ (bought - p) - penalty * weights
        step = np.linalg.solve(design.T @ (design * (p * (1 - p))[:, None]) + np.diag(penalty), gradient)
        weights = weights + step
        if np.abs(step).max() < 1e-9:
            break
    return weights[:-1], float(weights[-1])


def train(
    columns: Sequence[Column], raw: Floats, persons: Sequence[int], truth: Truth, offers: Sequence[str]
) -> tuple[Floats, Floats, Floats]:
    """Return [columns, offers] weights and [offers] intercepts on raw inputs, and [offers] base rates.

    Every row saw one offer at random. Weights are rounded, so that another machine's last bits change nothing.
    """
    throw = np.array([hash_uniform(i) for i in range(len(raw))])
    shown = np.arange(len(raw)) % len(offers)
    p = truth.seen[np.asarray(persons), np.array([truth.index[offer] for offer in offers])[shown]]
    bought = (throw < p).astype(np.float64)
    centre, scale = np.array([c.centre for c in columns]), np.array([c.scale for c in columns])
    standard = (raw - centre) / scale
    weights, intercepts, rates = np.zeros((len(columns), len(offers))), np.zeros(len(offers)), np.zeros(len(offers))
    for k in range(len(offers)):
        rows = shown == k
        fitted, intercept = fit(standard[rows], bought[rows])
        weights[:, k] = np.round(fitted, 3) / scale
        intercepts[k] = round(intercept, 3) - float(weights[:, k] @ centre)
        rates[k] = round(float(bought[rows].mean()), 4)
    return weights, intercepts, rates


def hash_uniform(row: int) -> float:
    """Return the history's throw for a row, in [0, 1)."""
    return int.from_bytes(hashlib.blake2b(f"{SEED}:{row}".encode(), digest_size=8).digest(), "little") / 2**64


def onnx_bytes(name: str, weights: Floats, intercepts: Floats) -> bytes:
    """Return a linear-logistic model, float [N, columns] to float [N, offers]."""
    from onnx import TensorProto, checker, helper, numpy_helper

    graph = helper.make_graph(
        [
            helper.make_node("Gemm", ["inputs", "weights", "intercepts"], ["logits"]),
            helper.make_node("Sigmoid", ["logits"], ["probabilities"]),
        ],
        name,
        [helper.make_tensor_value_info("inputs", TensorProto.FLOAT, [None, weights.shape[0]])],
        [helper.make_tensor_value_info("probabilities", TensorProto.FLOAT, [None, weights.shape[1]])],
        [
            numpy_helper.from_array(weights.astype(np.float32), "weights"),
            numpy_helper.from_array(intercepts.astype(np.float32), "intercepts"),
        ],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8, producer_name="liftgate.demo")
    checker.check_model(model)
    raw: bytes = model.SerializeToString()
    return raw


def write(
    folder: Path, name: str, columns: Sequence[Column], offers: Sequence[str], raw_rows: Floats, trained: tuple[Floats, Floats, Floats]
) -> None:
    """Write one model and its manifest to FOLDER/<name>/1."""
    weights, intercepts, rates = trained
    model = onnx_bytes(name, weights, intercepts)
    golden = np.round(raw_rows[:GOLDEN_ROWS], 3)
    answers = 1.0 / (1.0 + np.exp(-(golden.astype(np.float32).astype(np.float64) @ weights + intercepts)))
    lines = [
        "# Written by `python -m liftgate.demo.make_models`; not by hand.",
        f"sha256: {hashlib.sha256(model).hexdigest()}",
        f"size: {len(model)}",
        "opset: 17",
        "input: inputs",
        "output: probabilities",
        "inputs:",
        *(f"  - {{input: {column.input}, {_equals(column)}missing: {_missing(column)}}}" for column in columns),
        "outputs:",
        *(f"  - {{name: {offer}, column: {k}, base_rate: {rates[k]}}}" for k, offer in enumerate(offers)),
        "golden:",
        "  inputs:",
        *(f"    - {[float(x) for x in row]}" for row in golden),
        "  outputs:",
        *(f"    - {[round(float(x), 8) for x in row]}" for row in answers),
        "card:",
        "  what: One logistic regression for each offer; P(purchase within 7 days after the offer was seen)",
        "  trained_on: A simulated history in which everyone saw one offer at random, with holes and old values as the service meets them",
        "  limits: A demonstration. It knows nothing of interactions, and the people are made up",
    ]
    target = folder / name / "1"
    target.mkdir(parents=True, exist_ok=True)
    (target / "model.onnx").write_bytes(model)
    (target / "model.yaml").write_text("\n".join(lines) + "\n", encoding="utf-8")


def _equals(column: Column) -> str:
    if column.equals is None:
        return ""
    text = "true" if column.equals is True else f'"{column.equals}"'
    return f"equals: {text}, "


def _missing(column: Column) -> float:
    return 0.0 if column.equals is not None or column.input == "context.basket_value" else float(column.centre)


def main(folder: Path) -> None:
    """Train and write both models below the folder."""
    shoppers = people(PEOPLE, SEED)
    truth = Truth(shoppers, SEED)
    profile = profile_matrix(shoppers)
    write(
        folder,
        "purchase_7d",
        PROFILE_COLUMNS,
        PROFILE_OFFERS,
        profile,
        train(PROFILE_COLUMNS, profile, range(PEOPLE), truth, PROFILE_OFFERS),
    )
    context, persons = context_matrix(shoppers, SEED)
    trained = train(CONTEXT_COLUMNS, context, persons, truth, CONTEXT_OFFERS)
    write(folder, "purchase_7d_context", CONTEXT_COLUMNS, CONTEXT_OFFERS, context, trained)


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent / "models")
