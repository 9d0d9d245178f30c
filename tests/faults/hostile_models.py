"""Model files that may not go live, each a change of one good one, and what their refusal says."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import onnx
from onnx import ModelProto, NodeProto, TensorProto, helper, numpy_helper

WEIGHTS = np.array([[0.5], [-0.25], [2.0]])
FLOAT, BOOL = TensorProto.FLOAT, TensorProto.BOOL


def value(name: str, shape: list[Any], kind: int = FLOAT) -> onnx.ValueInfoProto:
    """A typed name."""
    return helper.make_tensor_value_info(name, kind, shape)


def weights() -> TensorProto:
    """The initializer W."""
    return numpy_helper.from_array(WEIGHTS.astype(np.float32), "W")


def model(*nodes: NodeProto, inputs: Any = None, outputs: Any = None, initializers: Any = None, **rest: Any) -> ModelProto:
    """A model around X [N, 3] -> probabilities [N, 1]; without nodes it is the good one."""
    graph = helper.make_graph(
        nodes or (helper.make_node("MatMul", ["X", "W"], ["z"]), helper.make_node("Sigmoid", ["z"], ["probabilities"])),
        "graph",
        inputs or [value("X", ["N", 3])],
        outputs or [value("probabilities", ["N", 1])],
        initializers if initializers is not None else [weights()],
    )
    opsets = rest.pop("opset_imports", [helper.make_opsetid("", 17)])
    return helper.make_model(graph, opset_imports=opsets, ir_version=8, **rest)


def external_data() -> ModelProto:
    """W lies in another file."""
    tensor = weights()
    onnx.external_data_helper.set_external_data(tensor, location="/etc/passwd")
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    return model(initializers=[tensor])


def external_data_in_attribute() -> ModelProto:
    """A Constant's tensor lies in another file."""
    tensor = external_data().graph.initializer[0]
    return model(
        helper.make_node("Constant", [], ["W"], value=tensor),
        helper.make_node("MatMul", ["X", "W"], ["z"]),
        helper.make_node("Sigmoid", ["z"], ["probabilities"]),
        initializers=[],
    )


def external_data_in_sparse() -> ModelProto:
    """A sparse initializer's values lie in another file."""
    built = model()
    sparse = built.graph.sparse_initializer.add()
    sparse.values.CopyFrom(external_data().graph.initializer[0])
    return built


def if_model() -> ModelProto:
    """Branches on the sum of X."""
    branch = helper.make_graph([helper.make_node("Sigmoid", ["z"], ["y"])], "branch", [], [value("y", ["N", 1])])
    return model(
        helper.make_node("MatMul", ["X", "W"], ["z"]),
        helper.make_node("ReduceSum", ["X"], ["total"], keepdims=0),
        helper.make_node("Cast", ["total"], ["condition"], to=BOOL),
        helper.make_node("If", ["condition"], ["probabilities"], then_branch=branch, else_branch=branch),
    )


def loop_model() -> ModelProto:
    """Runs 2**40 times."""
    body = helper.make_graph(
        [helper.make_node("Identity", ["c"], ["c2"]), helper.make_node("Sigmoid", ["v"], ["v2"])],
        "body",
        [value("i", [], TensorProto.INT64), value("c", [], BOOL), value("v", ["N", 1])],
        [value("c2", [], BOOL), value("v2", ["N", 1])],
    )
    return model(
        helper.make_node("MatMul", ["X", "W"], ["z"]),
        helper.make_node("Loop", ["trips", "", "z"], ["probabilities"], body=body),
        initializers=[weights(), helper.make_tensor("trips", TensorProto.INT64, [], [2**40])],
    )


def scan_model() -> ModelProto:
    """Scans over the rows."""
    body = helper.make_graph([helper.make_node("Sigmoid", ["row"], ["y"])], "body", [value("row", [1])], [value("y", [1])])
    return model(
        helper.make_node("MatMul", ["X", "W"], ["z"]),
        helper.make_node("Scan", ["z"], ["probabilities"], body=body, num_scan_inputs=1),
    )


def hidden_subgraph() -> ModelProto:
    """A harmless operator with a graph in an attribute of another declared type."""
    built = model()
    attribute = built.graph.node[0].attribute.add(name="note", type=onnx.AttributeProto.STRING)
    attribute.g.name = "hidden"
    return built


def function_model() -> ModelProto:
    """A function of its own."""
    function = helper.make_function("", "Squash", ["a"], ["b"], [helper.make_node("Sigmoid", ["a"], ["b"])], [helper.make_opsetid("", 17)])
    return model(functions=[function])


def training_model() -> ModelProto:
    """A training graph beside the model."""
    built = model()
    built.training_info.add().algorithm.name = "train"
    return built


def custom_domain() -> ModelProto:
    """An operator of another domain."""
    return model(
        helper.make_node("MatMul", ["X", "W"], ["z"]),
        helper.make_node("Gelu", ["z"], ["probabilities"], domain="com.microsoft"),
        opset_imports=[helper.make_opsetid("", 17), helper.make_opsetid("com.microsoft", 1)],
    )


def custom_domain_unimported() -> ModelProto:
    """An operator of another domain whose import is left out."""
    built = custom_domain()
    del built.opset_import[1]
    return built


def random_model() -> ModelProto:
    """Draws its answer."""
    return model(helper.make_node("MatMul", ["X", "W"], ["z"]), helper.make_node("RandomUniformLike", ["z"], ["probabilities"]))


def float64_input() -> ModelProto:
    """Wants float64."""
    tensor = numpy_helper.from_array(WEIGHTS, "W")
    nodes = (
        helper.make_node("MatMul", ["X", "W"], ["z"]),
        helper.make_node("Sigmoid", ["z"], ["probabilities"]),
    )
    kind = TensorProto.DOUBLE
    return model(*nodes, inputs=[value("X", ["N", 3], kind)], outputs=[value("probabilities", ["N", 1], kind)], initializers=[tensor])


def two_inputs() -> ModelProto:
    """Wants a second matrix."""
    return model(inputs=[value("X", ["N", 3]), value("Y", ["N", 3])])


def renamed_input() -> ModelProto:
    """Calls its input Z."""
    built = model(inputs=[value("Z", ["N", 3])])
    built.graph.node[0].input[0] = "Z"
    return built


def four_features() -> ModelProto:
    """Has been trained on one feature more."""
    tensor = numpy_helper.from_array(np.ones((4, 1), dtype=np.float32), "W")
    return model(inputs=[value("X", ["N", 4])], initializers=[tensor])


def open_features() -> ModelProto:
    """Leaves its count of features open."""
    return model(inputs=[value("X", ["N", "F"])])


def fixed_rows() -> ModelProto:
    """Takes batches of one only."""
    return model(inputs=[value("X", [1, 3])], outputs=[value("probabilities", [1, 1])])


def no_such_output() -> ModelProto:
    """Calls its output otherwise."""
    built = model(outputs=[value("scores", ["N", 1])])
    built.graph.node[1].output[0] = "scores"
    return built


def rank_one() -> ModelProto:
    """Gives a vector."""
    return model(
        helper.make_node("MatMul", ["X", "W"], ["z"]),
        helper.make_node("Reshape", ["z", "flat"], ["v"]),
        helper.make_node("Sigmoid", ["v"], ["probabilities"]),
        outputs=[value("probabilities", ["N"])],
        initializers=[weights(), helper.make_tensor("flat", TensorProto.INT64, [1], [-1])],
    )


def label_output() -> ModelProto:
    """Gives whole numbers."""
    return model(
        helper.make_node("MatMul", ["X", "W"], ["z"]),
        helper.make_node("Cast", ["z"], ["probabilities"], to=TensorProto.INT64),
        outputs=[value("probabilities", ["N", 1], TensorProto.INT64)],
    )


def nan_output() -> ModelProto:
    """Divides nothing by nothing."""
    return model(
        helper.make_node("MatMul", ["X", "W"], ["z"]),
        helper.make_node("Sub", ["z", "z"], ["zero"]),
        helper.make_node("Div", ["zero", "zero"], ["probabilities"]),
    )


def not_probabilities() -> ModelProto:
    """Gives logits."""
    return model(helper.make_node("MatMul", ["X", "W"], ["probabilities"]))


def other_weights() -> ModelProto:
    """Was trained again, its golden vectors were not written anew."""
    return model(initializers=[numpy_helper.from_array((WEIGHTS * 1.001).astype(np.float32), "W")])


def unknown_operator() -> ModelProto:
    """Uses an operator that there is not."""
    return model(helper.make_node("MatMul", ["X", "W"], ["z"]), helper.make_node("Squeal", ["z"], ["probabilities"]))


HOSTILE: list[tuple[Callable[[], ModelProto], str]] = [
    (external_data, "in another file"),
    (external_data_in_attribute, "in another file"),
    (external_data_in_sparse, "in another file"),
    (if_model, "If: control flow"),
    (loop_model, "Loop: control flow"),
    (scan_model, "Scan: control flow"),
    (hidden_subgraph, "holds a subgraph"),
    (function_model, "local functions"),
    (training_model, "training graph"),
    (custom_domain, "domain 'com.microsoft'"),
    (custom_domain_unimported, "domain 'com.microsoft'"),
    (random_model, "RandomUniformLike: scores must be the same"),
    (float64_input, r"is tensor\(double\)"),
    (two_inputs, "its inputs are: X, Y"),
    (renamed_input, "its inputs are: Z"),
    (four_features, r"has shape \['N', 4\]"),
    (open_features, r"has shape \['N', 'F'\]"),
    (fixed_rows, r"has shape \[1, 3\]"),
    (no_such_output, r"no output probabilities \(it has scores\)"),
    (rank_one, r"needs \[N, 1 or more\]"),
    (label_output, r"is tensor\(int64\)"),
    (nan_output, r"outside 0\.\.1"),
    (not_probabilities, r"outside 0\.\.1"),
    (other_weights, "golden vector . output bought|golden vector ., output bought"),
    (unknown_operator, "does not load it"),
]
