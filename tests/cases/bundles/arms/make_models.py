"""Makes models/likes/1 and 2, and models/fond/1: P = sigmoid(a * age + b * spend + c) each, as ONNX, with their manifests."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

MODELS = Path(__file__).parent / "models"
WANTED = {
    # At age 40 and spend 12: 0.5, 0.9002495 and 0.1824255.
    ("likes", 1): ("like", (0.02, 0.1), -2.0, 0.25),
    ("likes", 2): ("like", (0.05, 0.1), -1.0, 0.5),
    ("fond", 1): ("like", (0.0, -0.125), 0.0, 0.125),
}
"""(name, version) to (output, weights, bias, base rate)."""


def write(name: str, version: int, output: str, weights: tuple[float, float], bias: float, rate: float) -> None:
    """Write model.onnx and model.yaml of one."""
    graph = helper.make_graph(
        [helper.make_node("Gemm", ["x", "w", "b"], ["z"]), helper.make_node("Sigmoid", ["z"], ["p"])],
        f"{name}-{version}",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [None, 2])],
        [helper.make_tensor_value_info("p", TensorProto.FLOAT, [None, 1])],
        [
            numpy_helper.from_array(np.array(weights, dtype=np.float32).reshape(2, 1), "w"),
            numpy_helper.from_array(np.array([bias], dtype=np.float32), "b"),
        ],
    )
    raw = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8).SerializeToString()
    onnx.checker.check_model(raw)
    folder = MODELS / name / str(version)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "model.onnx").write_bytes(raw)
    rows = [[40.0, 12.0], [18.0, 0.0], [0.0, 10.0]]
    golden = [[float(1 / (1 + np.exp(-(weights[0] * age + weights[1] * spend + bias))))] for age, spend in rows]
    lines = [
        f"sha256: {hashlib.sha256(raw).hexdigest()}",
        f"size: {len(raw)}",
        "opset: 17",
        "input: x",
        "output: p",
        "inputs:",
        "  - {input: profile.age, missing: 0.0}",
        "  - {input: profile.spend, missing: 0.0}",
        "outputs:",
        f"  - {{name: {output}, column: 0, base_rate: {rate}}}",
        f"golden: {{inputs: {rows}, outputs: {golden}}}",
        "card: {what: A made-up probability for the golden cases}",
    ]
    (folder / "model.yaml").write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    for (model, number), (column, factors, constant, share) in WANTED.items():
        write(model, number, column, factors, constant, share)
