"""What a model file may not contain, checked on its bytes before ONNX Runtime sees them.

Field numbers are those of ModelProto, GraphProto, NodeProto, AttributeProto, TensorProto and SparseTensorProto in
onnx.proto. A field that stands twice where the schema has one is refused: parsers merge such fields, and a check of
either half would miss the whole.
"""

from __future__ import annotations

from collections.abc import Iterator

from liftgate.adapters.protobuf_wire import BYTES, Malformed, fields

DOMAINS = frozenset({"", "ai.onnx", "ai.onnx.ml"})
"""Operator domains that may be used."""

CONTROL_FLOW = frozenset({"If", "Loop", "Scan", "SequenceMap"})

RANDOM = frozenset({"Bernoulli", "Multinomial", "RandomNormal", "RandomNormalLike", "RandomUniform", "RandomUniformLike"})
"""Operators that draw: a score that changes between two runs cannot be replayed."""

_MODEL_GRAPH, _MODEL_OPSET, _MODEL_TRAINING, _MODEL_FUNCTION = 7, 8, 20, 25
_OPSET_DOMAIN = 1
_GRAPH_NODE, _GRAPH_INITIALIZER, _GRAPH_SPARSE = 1, 5, 15
_NODE_OP, _NODE_ATTRIBUTE, _NODE_DOMAIN = 4, 5, 7
_ATTRIBUTE_TENSOR, _ATTRIBUTE_GRAPH, _ATTRIBUTE_TENSORS, _ATTRIBUTE_GRAPHS = 5, 6, 10, 11
_ATTRIBUTE_SPARSE, _ATTRIBUTE_SPARSES = 22, 23
_SPARSE_VALUES, _SPARSE_INDICES = 1, 2
_TENSOR_EXTERNAL, _TENSOR_LOCATION = 13, 14


class Refused(Exception):
    """The file is not taken. The message says what is wrong and how to mend it."""


def check(raw: bytes) -> tuple[tuple[str, str], ...]:
    """Return the graph's operators in order as (domain, operator).

    Raises Refused on: bytes that are no ModelProto, external data, subgraphs and control flow, local functions,
    training graphs, operators that draw at random, and operators outside `DOMAINS`.
    """
    try:
        return tuple(_model(memoryview(raw)))
    except Malformed as err:
        raise Refused(f"these bytes are no ONNX model ({err}); export or copy the file again") from None


def _model(raw: memoryview) -> Iterator[tuple[str, str]]:
    graphs = []
    for number, payload in _messages(raw, (_MODEL_GRAPH, _MODEL_OPSET, _MODEL_TRAINING, _MODEL_FUNCTION)):
        if number == _MODEL_FUNCTION:
            raise Refused("it defines local functions; inline them (onnx.inliner.inline_local_functions) and export again")
        if number == _MODEL_TRAINING:
            raise Refused("it carries a training graph; export the model for inference")
        if number == _MODEL_OPSET:
            _domain(_text(payload, _OPSET_DOMAIN), "imports operators of")
        else:
            graphs.append(payload)
    if len(graphs) != 1:
        raise Refused(f"these bytes are no ONNX model ({len(graphs)} graphs, one is wanted); export or copy the file again")
    for number, payload in _messages(graphs[0], (_GRAPH_NODE, _GRAPH_INITIALIZER, _GRAPH_SPARSE)):
        if number == _GRAPH_NODE:
            yield _node(payload)
        elif number == _GRAPH_INITIALIZER:
            _tensor(payload)
        else:
            _sparse(payload)


def _node(raw: memoryview) -> tuple[str, str]:
    operator, domain = _text(raw, _NODE_OP), _text(raw, _NODE_DOMAIN)
    _domain(domain, f"uses {operator!r:.80} of")
    if operator in CONTROL_FLOW:
        raise Refused(f"it uses {operator}: control flow has no bounded cost; export a model without it")
    if operator in RANDOM:
        raise Refused(f"it uses {operator}: scores must be the same at every run; export a model without it")
    for _, attribute in _messages(raw, (_NODE_ATTRIBUTE,)):
        parts = (_ATTRIBUTE_TENSOR, _ATTRIBUTE_TENSORS, _ATTRIBUTE_GRAPH, _ATTRIBUTE_GRAPHS, _ATTRIBUTE_SPARSE, _ATTRIBUTE_SPARSES)
        for number, payload in _messages(attribute, parts):
            if number in (_ATTRIBUTE_GRAPH, _ATTRIBUTE_GRAPHS):
                raise Refused(f"its operator {operator!r:.80} holds a subgraph; export a model without control flow")
            if number in (_ATTRIBUTE_SPARSE, _ATTRIBUTE_SPARSES):
                _sparse(payload)
            else:
                _tensor(payload)
    return domain, operator


def _tensor(raw: memoryview) -> None:
    for number, wire_type, payload in fields(raw):
        if number == _TENSOR_EXTERNAL or (number == _TENSOR_LOCATION and (wire_type == BYTES or any(payload))):
            raise Refused("it keeps data in another file; save it in one piece (onnx.save with save_as_external_data=False)")


def _sparse(raw: memoryview) -> None:
    for _, payload in _messages(raw, (_SPARSE_VALUES, _SPARSE_INDICES)):
        _tensor(payload)


def _domain(domain: str, verb: str) -> None:
    if domain not in DOMAINS:
        raise Refused(f"it {verb} domain {domain!r:.80}; only the ai.onnx and ai.onnx.ml operators are taken")


def _messages(raw: memoryview, wanted: tuple[int, ...]) -> Iterator[tuple[int, memoryview]]:
    """Yield the wanted fields, all of which hold bytes. Reads to the end, so that all of `raw` is known to be well formed."""
    for number, wire_type, payload in fields(raw):
        if number in wanted:
            if wire_type != BYTES:
                raise Malformed(f"field {number} has wire type {wire_type}")
            yield number, payload


def _text(raw: memoryview, wanted: int) -> str:
    """Return the text of a field, empty when it is absent."""
    found = [payload for _, payload in _messages(raw, (wanted,))]
    if len(found) > 1:
        raise Malformed(f"field {wanted} stands twice")
    try:
        return bytes(found[0]).decode() if found else ""
    except UnicodeDecodeError:
        raise Malformed(f"field {wanted} is no text") from None
