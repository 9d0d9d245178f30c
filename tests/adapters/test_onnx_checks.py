"""The hand-written reader sees in a model file what the `onnx` package sees."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from onnx import AttributeProto, GraphProto, ModelProto, NodeProto, SparseTensorProto, TensorProto, helper, numpy_helper

from liftgate.adapters import onnx_checks
from liftgate.adapters.onnx_checks import Refused, check
from liftgate.adapters.protobuf_wire import BYTES, VARINT, Malformed, fields

MODELS = sorted((Path(__file__).parents[2] / "models").glob("*/*/model.onnx"))

FIELDS = {
    ModelProto: {
        "graph": "_MODEL_GRAPH",
        "opset_import": "_MODEL_OPSET",
        "training_info": "_MODEL_TRAINING",
        "functions": "_MODEL_FUNCTION",
    },
    GraphProto: {"node": "_GRAPH_NODE", "initializer": "_GRAPH_INITIALIZER", "sparse_initializer": "_GRAPH_SPARSE"},
    NodeProto: {"op_type": "_NODE_OP", "attribute": "_NODE_ATTRIBUTE", "domain": "_NODE_DOMAIN"},
    AttributeProto: {
        "t": "_ATTRIBUTE_TENSOR",
        "g": "_ATTRIBUTE_GRAPH",
        "tensors": "_ATTRIBUTE_TENSORS",
        "graphs": "_ATTRIBUTE_GRAPHS",
        "sparse_tensor": "_ATTRIBUTE_SPARSE",
        "sparse_tensors": "_ATTRIBUTE_SPARSES",
    },
    TensorProto: {"external_data": "_TENSOR_EXTERNAL", "data_location": "_TENSOR_LOCATION"},
    SparseTensorProto: {"values": "_SPARSE_VALUES", "indices": "_SPARSE_INDICES"},
    onnx.OperatorSetIdProto: {"domain": "_OPSET_DOMAIN"},
}


@pytest.mark.parametrize("message", FIELDS, ids=lambda message: message.DESCRIPTOR.name)
def test_field_numbers_are_the_schemas(message: type[onnx.ModelProto]) -> None:
    """Every field number that the checks use is the one in onnx.proto."""
    for field, constant in FIELDS[message].items():
        assert message.DESCRIPTOR.fields_by_name[field].number == getattr(onnx_checks, constant)


def test_no_other_field_can_hold_a_graph_or_a_tensor() -> None:
    """The checks look into every field of the schema through which a graph, a function or a tensor can be reached."""
    reachable = {
        (message.DESCRIPTOR.name, field.name)
        for message in FIELDS
        for field in message.DESCRIPTOR.fields
        if field.message_type is not None
        and field.message_type.name in {"GraphProto", "TensorProto", "SparseTensorProto", "FunctionProto", "TrainingInfoProto", "NodeProto"}
    }
    looked_into = {(message.DESCRIPTOR.name, field) for message, names in FIELDS.items() for field in names}
    assert reachable <= looked_into


@pytest.mark.parametrize("path", MODELS, ids=lambda path: path.parts[-3])
def test_committed_models_pass(path: Path) -> None:
    """Every committed model passes, and its operators read the same with the `onnx` package."""
    raw = path.read_bytes()
    assert check(raw) == tuple((node.domain, node.op_type) for node in onnx.load_from_string(raw).graph.node)


def test_operators_read_as_onnx_reads_them() -> None:
    """A model with tensors, packed and unpacked attributes and both domains is read node for node."""
    graph = helper.make_graph(
        [
            helper.make_node("Constant", [], ["c"], value=numpy_helper.from_array(np.arange(3, dtype=np.float32))),
            helper.make_node("Scaler", ["X"], ["s"], domain="ai.onnx.ml", offset=[0.0, 1.0, 2.0], scale=[1.0, 1.0, 1.0]),
            helper.make_node("Add", ["s", "c"], ["probabilities"], domain="ai.onnx"),
        ],
        "mixed",
        [helper.make_tensor_value_info("X", TensorProto.FLOAT, ["N", 3])],
        [helper.make_tensor_value_info("probabilities", TensorProto.FLOAT, ["N", 3])],
        sparse_initializer=[
            helper.make_sparse_tensor(
                helper.make_tensor("v", TensorProto.FLOAT, [1], [1.0]), helper.make_tensor("i", TensorProto.INT64, [1], [0]), [3]
            )
        ],
    )
    raw = helper.make_model(graph).SerializeToString()
    assert check(raw) == (("", "Constant"), ("ai.onnx.ml", "Scaler"), ("ai.onnx", "Add"))


@given(st.integers(1, 2**29 - 1), st.integers(0, 2**64 - 1), st.binary(max_size=300))
def test_fields_come_back(number: int, value: int, payload: bytes) -> None:
    """What a plain writer writes is read back, field by field."""

    def varint(rest: int) -> bytes:
        out = bytearray()
        while rest >= 0x80:
            out.append(rest & 0x7F | 0x80)
            rest >>= 7
        return bytes([*out, rest])

    raw = varint(number << 3 | VARINT) + varint(value) + varint(number << 3 | BYTES) + varint(len(payload)) + payload
    found = [(n, kind, bytes(inside)) for n, kind, inside in fields(memoryview(raw))]
    assert found == [(number, VARINT, varint(value)), (number, BYTES, payload)]


@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_refused(raw: bytes) -> None:
    """Bytes in any order are read or refused, and what is read lies end to end within them."""
    try:
        found = [payload for _, _, payload in fields(memoryview(raw))]
    except Malformed:
        return
    assert sum(map(len, found)) <= len(raw)


@given(st.binary(max_size=200))
def test_any_bytes_are_checked_or_refused(raw: bytes) -> None:
    """A check of any bytes ends in a list of operators or in Refused."""
    message = "none"
    try:
        check(raw)
    except Refused as err:
        message = str(err)
    assert message


@pytest.mark.parametrize(
    "raw",
    [
        b"\x08",
        b"\x0a\x05abc",
        b"\x0b\x0c",
        b"\x0f",
        b"\x00",
        b"\x08" + b"\xff" * 11,
        b"\x88\x80\x80\x80\x80\x00\x01",
        b"\x0d\x01",
        b"\x09\x01",
    ],
    ids=["no value", "short", "group", "wire type 7", "field 0", "long number", "long tag", "short fixed32", "short fixed64"],
)
def test_malformed(raw: bytes) -> None:
    """Each way to break the wire format is refused."""
    with pytest.raises(Malformed):
        list(fields(memoryview(raw)))
