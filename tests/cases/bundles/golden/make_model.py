"""Makes models/likes/1: P(like) = sigmoid(0.02 * age + 0.1 * spend - 2), as ONNX, with its manifest."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

HERE = Path(__file__).parent / "models" / "likes" / "1"


def main() -> None:
    """Write model.onnx and model.yaml."""
    weights = numpy_helper.from_array(np.array([[0.02], [0.1]], dtype=np.float32), "w")
    bias = numpy_helper.from_array(np.array([-2.0], dtype=np.float32), "b")
    graph = helper.make_graph(
        [helper.make_node("Gemm", ["x", "w", "b"], ["z"]), helper.make_node("Sigmoid", ["z"], ["p"])],
        "likes",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [None, 2])],
        [helper.make_tensor_value_info("p", TensorProto.FLOAT, [None, 1])],
        [weights, bias],
    )
    raw = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8).SerializeToString()
    onnx.checker.check_model(raw)
    HERE.mkdir(parents=True, exist_ok=True)
    (HERE / "model.onnx").write_bytes(raw)
    rows = [[40.0, 12.0], [18.0, 0.0], [0.0, 10.0]]
    golden = [[float(1 / (1 + np.exp(-(0.02 * age + 0.1 * spend - 2.0))))] for age, spend in rows]
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
        "  - {name: like, column: 0, base_rate: 0.25}",
        f"golden: {{inputs: {rows}, outputs: {golden}}}",
        "card: {what: A made-up probability for the golden cases}",
    ]
    (HERE / "model.yaml").write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
