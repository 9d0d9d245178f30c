"""Makes models/buys/1, P(buy) = sigmoid(0.02 * age + 0.1 * spend - 2), and models/buys_anyway/1, sigmoid(0.05 * age - 2), as ONNX."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

HERE = Path(__file__).parent / "models"


def make(name: str, inputs: list[tuple[str, float]], output: str, rows: list[list[float]]) -> None:
    """Write model.onnx and model.yaml of one logistic model with the intercept -2."""
    weights = numpy_helper.from_array(np.array([[weight] for _, weight in inputs], dtype=np.float32), "w")
    bias = numpy_helper.from_array(np.array([-2.0], dtype=np.float32), "b")
    graph = helper.make_graph(
        [helper.make_node("Gemm", ["x", "w", "b"], ["z"]), helper.make_node("Sigmoid", ["z"], ["p"])],
        name,
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [None, len(inputs)])],
        [helper.make_tensor_value_info("p", TensorProto.FLOAT, [None, 1])],
        [weights, bias],
    )
    raw = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8).SerializeToString()
    onnx.checker.check_model(raw)
    folder = HERE / name / "1"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "model.onnx").write_bytes(raw)
    sums = [sum(weight * x for (_, weight), x in zip(inputs, row, strict=True)) - 2.0 for row in rows]
    lines = [
        f"sha256: {hashlib.sha256(raw).hexdigest()}",
        f"size: {len(raw)}",
        "opset: 17",
        "input: x",
        "output: p",
        "inputs:",
        *(f"  - {{input: profile.{column}, missing: 0.0}}" for column, _ in inputs),
        "outputs:",
        f"  - {output}",
        f"golden: {{inputs: {rows}, outputs: {[[float(1 / (1 + np.exp(-z)))] for z in sums]}}}",
        "card: {what: A made-up probability for the golden cases}",
    ]
    (folder / "model.yaml").write_text("\n".join(lines) + "\n")


def main() -> None:
    """Write both."""
    shown = "{name: buy, column: 0, base_rate: 0.25, evidence: {positives: 50, trials: 1000}}"
    make("buys", [("age", 0.02), ("spend", 0.1)], shown, [[40.0, 12.0], [18.0, 0.0]])
    make("buys_anyway", [("age", 0.05)], "{name: buy, column: 0, base_rate: 0.1}", [[40.0], [20.0]])


if __name__ == "__main__":
    main()
