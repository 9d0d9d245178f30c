"""Make `small/models/tiny/1`: sigmoid(0.02 * age - 0.01 * days_since_purchase - 1), a float column of one probability.

Run from anywhere with the development dependencies installed: `python tests/cases/bundles/make_tiny_model.py`.
"""

from __future__ import annotations

import hashlib
import math
from pathlib import Path

import onnx
from onnx import TensorProto, helper

FOLDER = Path(__file__).parent / "small" / "models" / "tiny" / "1"
WEIGHTS, BIAS = (0.02, -0.01), -1.0
ROWS = ((18.0, 365.0), (40.0, 2.5), (75.0, 30.0), (0.0, 365.0))
OPSET = 17


def model_bytes() -> bytes:
    """Return the serialised model: the same bytes at every run with one version of onnx."""
    graph = helper.make_graph(
        [
            helper.make_node("Gemm", ["input", "weights", "bias"], ["logit"]),
            helper.make_node("Sigmoid", ["logit"], ["probability"]),
        ],
        "tiny",
        [helper.make_tensor_value_info("input", TensorProto.FLOAT, ["n", len(WEIGHTS)])],
        [helper.make_tensor_value_info("probability", TensorProto.FLOAT, ["n", 1])],
        [
            helper.make_tensor("weights", TensorProto.FLOAT, [len(WEIGHTS), 1], WEIGHTS),
            helper.make_tensor("bias", TensorProto.FLOAT, [1], [BIAS]),
        ],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=8)
    onnx.checker.check_model(model, full_check=True)
    raw: bytes = model.SerializeToString()
    return raw


def probability(row: tuple[float, ...]) -> float:
    """Return what the model must answer."""
    return 1 / (1 + math.exp(-(BIAS + sum(w * x for w, x in zip(WEIGHTS, row, strict=True)))))


def manifest(raw: bytes) -> str:
    """Return model.yaml."""
    inputs = "".join(f"    - [{', '.join(map(str, row))}]\n" for row in ROWS)
    outputs = "".join(f"    - [{probability(row):.9f}]\n" for row in ROWS)
    return (
        "# Made by make_tiny_model.py.\n"
        f"sha256: {hashlib.sha256(raw).hexdigest()}\n"
        f"size: {len(raw)}\n"
        f"opset: {OPSET}\n"
        "input: input\n"
        "output: probability\n"
        "inputs:\n"
        "  - {input: profile.age, missing: 0.0}\n"
        "  - {input: profile.days_since_purchase, missing: 365.0}\n"
        "outputs:\n"
        "  - {name: purchase, column: 0, base_rate: 0.12}\n"
        f"golden:\n  inputs:\n{inputs}  outputs:\n{outputs}"
        "card:\n"
        "  what: Made-up chance of a purchase within 7 days, from age and days since the last purchase.\n"
        "  trained_on: Nothing. Its weights are written by hand.\n"
    )


def main() -> None:
    """Write both files."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    raw = model_bytes()
    (FOLDER / "model.onnx").write_bytes(raw)
    (FOLDER / "model.yaml").write_text(manifest(raw), encoding="utf-8")


if __name__ == "__main__":
    main()
