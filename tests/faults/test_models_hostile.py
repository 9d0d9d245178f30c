"""No hostile model goes live: each is refused with its name, its file, what is wrong and how to mend it."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import onnx
import pytest
from onnx import ModelProto, NodeProto, TensorProto, helper, numpy_helper

from liftgate.adapters import onnx_models
from liftgate.adapters.onnx_models import SIZE_LIMIT, OnnxModels
from liftgate.bundle.compiled import Bundle, ModelInput, ModelSpec
from liftgate.domain.bucketing import Salt
from liftgate.domain.errors import BadInput

WEIGHTS = np.array([[0.5], [-0.25], [2.0]])
GOLDEN = np.array([[1.0, 2.0, 3.0], [-1.0, 0.5, 0.0], [0.3, -2.0, 1.0]])
WANTED = 1.0 / (1.0 + np.exp(-(GOLDEN @ WEIGHTS)))

Weights = TensorProto
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


def spec_of(directory: Path, raw: bytes) -> ModelSpec:
    """Write the bytes and pin exactly them."""
    (directory / "model.onnx").write_bytes(raw)
    return ModelSpec(
        name="purchase",
        version=3,
        directory=directory,
        sha256=sha256(raw).hexdigest(),
        size=len(raw),
        input_name="X",
        output_name="probabilities",
        inputs=tuple(ModelInput(i, None, 0.0) for i in range(3)),
        outputs=("bought",),
        output_columns=(0,),
        base_rates=(0.1,),
        golden_inputs=GOLDEN,
        golden_outputs=WANTED,
    )


def load(*specs: ModelSpec) -> OnnxModels:
    """Load what a bundle with these pins would load."""
    return OnnxModels.load(cast(Bundle, SimpleNamespace(models=specs)))


def refused(spec: ModelSpec, words: str) -> str:
    """The refusal names model and file, and says `words`."""
    with pytest.raises(BadInput, match=words) as caught:
        load(spec)
    message = str(caught.value)
    assert message.startswith("model purchase version 3: ")
    assert str(spec.directory / "model.onnx") in message
    assert "; " in message, "no mend"
    return message


def test_the_good_one_loads(tmp_path: Path) -> None:
    """Control: what every hostile file here is a change of does load and score."""
    spec = spec_of(tmp_path, model().SerializeToString())
    np.testing.assert_allclose(load(spec).score(spec, GOLDEN), WANTED, atol=1e-6)


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


@pytest.mark.parametrize(("make", "words"), HOSTILE, ids=[make.__name__ for make, _ in HOSTILE])
def test_hostile_model(tmp_path: Path, make: Callable[[], ModelProto], words: str) -> None:
    """A file whose digest is right and whose content is not is refused."""
    refused(spec_of(tmp_path, make().SerializeToString()), words)


def test_wrong_digest(tmp_path: Path) -> None:
    """One bit of the file differs from what the manifest pins."""
    raw = bytearray(model().SerializeToString())
    spec = spec_of(tmp_path, bytes(raw))
    raw[-20] ^= 1
    (tmp_path / "model.onnx").write_bytes(raw)
    refused(spec, "not the file that model.yaml names")


def test_wrong_size(tmp_path: Path) -> None:
    """The manifest's size is wrong, its digest is not."""
    spec = spec_of(tmp_path, model().SerializeToString())
    refused(replace(spec, size=spec.size + 1), "not the file that model.yaml names")


def test_every_truncation(tmp_path: Path) -> None:
    """Cut off anywhere, and pinned so, the file is refused."""
    raw = model().SerializeToString()
    for end in range(len(raw)):
        refused(spec_of(tmp_path, raw[:end]), "purchase")


def test_random_bytes(tmp_path: Path) -> None:
    """Hundreds of files of random bytes, half of them behind a plausible beginning, are refused."""
    head = model().SerializeToString()[:40]
    dice = Salt("random bytes")
    for turn in range(400):
        raw = b"".join(dice.hash64(f"{turn}/{i}").to_bytes(8, "little") for i in range(dice.bucket(str(turn), 60)))
        refused(spec_of(tmp_path, head + raw if turn % 2 else raw), "purchase")


def test_flipped_bytes(tmp_path: Path) -> None:
    """A good model with a damaged byte is refused, or gives its golden vectors all the same."""
    good = model().SerializeToString()
    place, damage = Salt("place"), Salt("damage")
    for turn in range(300):
        raw = bytearray(good)
        raw[place.bucket(str(turn), len(raw))] ^= 1 + damage.bucket(str(turn), 255)
        spec = spec_of(tmp_path, bytes(raw))
        try:
            models = load(spec)
        except BadInput:
            continue
        np.testing.assert_allclose(models.score(spec, GOLDEN), WANTED, atol=1e-5)


def test_permuted_features(tmp_path: Path) -> None:
    """A manifest whose features stand in another order than the model was trained on is caught by the golden vectors."""
    spec = spec_of(tmp_path, model().SerializeToString())
    refused(replace(spec, golden_inputs=GOLDEN[:, [1, 0, 2]]), "feature order")


@pytest.mark.parametrize(
    "golden",
    [(np.empty((0, 3)), np.empty((0, 1))), (GOLDEN, WANTED[:2]), (GOLDEN[:, :2], WANTED)],
    ids=["none", "unpaired", "narrow"],
)
def test_golden_vectors_are_needed(tmp_path: Path, golden: tuple[Any, Any]) -> None:
    """A manifest without usable golden vectors proves nothing."""
    spec = spec_of(tmp_path, model().SerializeToString())
    refused(replace(spec, golden_inputs=golden[0], golden_outputs=golden[1]), "golden vectors are missing")


def test_too_large_is_not_read(tmp_path: Path) -> None:
    """A file above the limit is refused by its size: this one would take a terabyte to read."""
    spec = spec_of(tmp_path, b"")
    os.truncate(tmp_path / "model.onnx", 1 << 40)
    refused(replace(spec, size=1 << 40), f"more than the {SIZE_LIMIT}")


def test_missing_file(tmp_path: Path) -> None:
    """There is no file."""
    spec = spec_of(tmp_path, b"")
    (tmp_path / "model.onnx").unlink()
    refused(spec, "cannot be read")


def test_pipe(tmp_path: Path) -> None:
    """A named pipe is refused and does not hold up the start."""
    spec = spec_of(tmp_path, b"")
    (tmp_path / "model.onnx").unlink()
    os.mkfifo(tmp_path / "model.onnx")
    refused(spec, "no regular file")


def test_doubled_domain(tmp_path: Path) -> None:
    """A node that names two domains is refused: which of them counts depends on the parser."""
    node = helper.make_node("Gelu", ["z"], ["probabilities"], domain="com.microsoft").SerializeToString() + b"\x3a\x00"
    built = model()
    raw = built.SerializeToString()
    plain = built.graph.node[1].SerializeToString()
    graph = built.graph.SerializeToString()
    tampered = graph.replace(b"\x0a" + bytes([len(plain)]) + plain, b"\x0a" + bytes([len(node)]) + node)
    assert tampered != graph
    built.ClearField("graph")
    rest = built.SerializeToString()
    assert len(tampered) < 0x4000
    raw = rest + b"\x3a" + bytes([len(tampered) & 0x7F | 0x80, len(tampered) >> 7]) + tampered
    refused(spec_of(tmp_path, raw), "stands twice")


def test_two_graphs(tmp_path: Path) -> None:
    """A second graph, which parsers would merge into the first, is refused."""
    raw = model().SerializeToString()
    refused(spec_of(tmp_path, raw + raw), "2 graphs")


def test_another_format_behind_a_mask(tmp_path: Path) -> None:
    """Bytes that also carry the mark of ONNX Runtime's own format are read as what was checked, an ONNX model."""
    built = model()
    built.producer_name = "xxORTM"
    raw = built.SerializeToString()
    assert raw[:1] == b"\x08", "the first field is ir_version, two bytes"
    moved = raw[2:] + raw[:2]
    assert moved[4:8] == b"ORTM"
    spec = spec_of(tmp_path, moved)
    np.testing.assert_allclose(load(spec).score(spec, GOLDEN), WANTED, atol=1e-6)


def test_every_mistake_at_once(tmp_path: Path) -> None:
    """Two bad models are both named, and the good one between them changes nothing."""
    specs = []
    for name, raw in (("first", b"\x01"), ("good", model().SerializeToString()), ("last", if_model().SerializeToString())):
        (tmp_path / name).mkdir()
        specs.append(replace(spec_of(tmp_path / name, raw), name=name))
    with pytest.raises(BadInput) as caught:
        load(*specs)
    lines = str(caught.value).splitlines()
    assert [line.split()[1] for line in lines] == ["first", "last"]


@pytest.mark.parametrize("make", [if_model, loop_model, scan_model, function_model, random_model, custom_domain])
def test_without_the_check_it_would_load(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, make: Callable[[], ModelProto]) -> None:
    """Control: with the structural check gone, none of these is refused for its structure, so it is the check that refuses."""
    monkeypatch.setattr(onnx_models, "check", lambda raw: ())
    monkeypatch.setattr(onnx_models, "WARM_UP_ROWS", ())
    monkeypatch.setattr(onnx_models._Loaded, "score", lambda loaded, rows: WANTED)
    load(spec_of(tmp_path, make().SerializeToString()))
