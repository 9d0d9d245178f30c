"""Trains one small model for each offer and outcome on half of the campaign, and writes them with their manifests.

    make train-hillstrom DATA=../shared/data/hillstrom.csv.gz

Each is a logistic regression on the customers who were sent that offer: P(outcome given customer and offer). Half of the
customers, by a stable hash of the row number, train; the other half is never looked at here. Coefficients are fitted to
the optimum and rounded, so that training again, on another machine too, gives the same bytes.
"""

from __future__ import annotations

import argparse
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
from campaign import OFFERS, OUTCOMES, Campaign, read
from numpy.typing import NDArray
from skl2onnx import to_onnx
from skl2onnx.common.data_types import FloatTensorType
from sklearn.linear_model import LogisticRegression

from liftgate.adapters.onnx_runtime import ort

MODELS = Path(__file__).resolve().parents[2] / "models"
TRAINED = OUTCOMES[:2]
"""Spend is money and not a probability: it is measured, not modelled."""
SHORT = ("mens", "womens", "none")
"""What model names call the offers, in the order of OFFERS."""

INPUTS: tuple[tuple[str, str | None], ...] = (
    ("recency", None),
    ("history", None),
    ("mens", None),
    ("womens", None),
    ("newbie", None),
    ("zip_code", "Urban"),
    ("zip_code", "Rural"),
    ("channel", "Web"),
    ("channel", "Multichannel"),
)
"""Features and, for one-hot columns, the value that is 1. Suburban and Phone are the values left over."""

OPSET, ML_OPSET = 17, 3
GOLDEN_ROWS = 8
RIDGE = 1.0
"""Half the squared norm of the standardised coefficients weighs as one unit of log-likelihood."""
DECIMALS = 6

Floats = NDArray[np.float64]


def matrix(campaign: Campaign) -> Floats:
    """Return [N, F], as the service will feed it."""
    columns = [[float(row[name]) if value is None else float(row[name] == value) for row in campaign.rows] for name, value in INPUTS]
    return np.array(columns).T


def fit(rows: Floats, outcome: Floats) -> LogisticRegression:
    """Return a regression on raw rows, fitted on standardised ones, with rounded coefficients."""
    centre, scale = rows.mean(axis=0), rows.std(axis=0)
    model = LogisticRegression(C=1.0 / RIDGE, solver="newton-cholesky", tol=1e-10, max_iter=100)
    model.fit((rows - centre) / scale, outcome.astype(np.int64))
    raw = model.coef_ / scale
    intercept = model.intercept_ - raw @ centre
    model.coef_, model.intercept_ = np.round(raw, DECIMALS), np.round(intercept, DECIMALS)
    return model


def export(model: LogisticRegression, name: str) -> bytes:
    """Return ONNX bytes: input [N, F] float32, output probabilities [N, 2], nothing else."""
    exported: Any = to_onnx(
        model,
        name=name,
        initial_types=[("inputs", FloatTensorType([None, len(INPUTS)]))],
        options={"zipmap": False},
        target_opset={"": OPSET, "ai.onnx.ml": ML_OPSET},
    )
    label, probabilities = exported.graph.output
    if (label.name, probabilities.name) != ("label", "probabilities"):
        raise SystemExit(f"{name}: skl2onnx gave outputs {label.name} and {probabilities.name}")
    exported.graph.output.remove(label)
    exported.domain = ""
    opsets = {entry.domain: entry.version for entry in exported.opset_import}
    del exported.opset_import[:]
    for domain, version in sorted(opsets.items()):
        exported.opset_import.add(domain=domain, version=version)
    raw: bytes = exported.SerializeToString(deterministic=True)
    return raw


def scores(raw: bytes, rows: Floats) -> Floats:
    """Return [N] P(outcome) as ONNX Runtime gives them."""
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    session: Any = ort.InferenceSession(raw, options, providers=["CPUExecutionProvider"])
    found: Floats = session.run(["probabilities"], {"inputs": rows.astype(np.float32)})[0][:, 1].astype(np.float64)
    return found


def manifest(raw: bytes, rows: Floats, rate: float, offer: str, outcome: str, trained_on: int) -> str:
    """Return model.yaml."""
    golden = rows[:GOLDEN_ROWS]
    lines = [
        "# Written by examples/hillstrom/train.py; not by hand.",
        f"sha256: {sha256(raw).hexdigest()}",
        f"size: {len(raw)}",
        f"opset: {OPSET}",
        "input: inputs",
        "output: probabilities",
        "inputs:",
        *(f"  - {{input: profile.{name}, {f'equals: {value}, ' if value else ''}missing: 0.0}}" for name, value in INPUTS),
        "outputs:",
        f"  - {{name: {outcome}, column: 1, base_rate: {rate:.6f}}}",
        "golden:",
        "  inputs:",
        *(f"    - {[float(value) for value in row]}" for row in golden),
        "  outputs:",
        *(f"    - [{score:.7f}]" for score in scores(raw, golden)),
        "card:",
        f"  what: Logistic regression; P({outcome} within two weeks) of a customer who is sent {offer}",
        f"  trained_on: {trained_on} customers of the Hillstrom e-mail campaign (2008) who were sent {offer} at random",
        "  held_back: The other half of the file by a hash of the row number, for measuring",
        "  limits: One campaign of one shop in 2008; purchases are rare in it",
    ]
    return "\n".join(lines) + "\n"


def main() -> None:
    """Train and write every model."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--data", type=Path, required=True, help="hillstrom.csv or hillstrom.csv.gz")
    parser.add_argument("--models", type=Path, default=MODELS, help="folder to write to (default: models/ of this repository)")
    arguments = parser.parse_args()
    campaign = read(arguments.data)
    rows = matrix(campaign)
    for k, offer in enumerate(OFFERS):
        seen = campaign.trained_on & (campaign.sent == k)
        for j, outcome in enumerate(TRAINED):
            happened = campaign.outcome[seen, j]
            name = f"hillstrom_{SHORT[k]}_{outcome}"
            model = fit(rows[seen], happened)
            raw = export(model, name)
            off = float(np.abs(scores(raw, rows) - model.predict_proba(rows)[:, 1]).max())
            if not off <= 1e-5:
                raise SystemExit(f"{name}: the exported model is {off:.2g} off the trained one")
            folder = arguments.models / name / "1"
            folder.mkdir(parents=True, exist_ok=True)
            (folder / "model.onnx").write_bytes(raw)
            text = manifest(raw, rows[seen], float(happened.mean()), offer, outcome, int(seen.sum()))
            (folder / "model.yaml").write_text(text, encoding="utf-8")
            print(f"{name}: {int(seen.sum())} customers, rate {happened.mean():.4f}, {len(raw)} bytes, off by at most {off:.1e}")


if __name__ == "__main__":
    main()
