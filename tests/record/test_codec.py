"""The record codec against the generated code."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from liftgate.record import codec
from liftgate.v1.event_service_pb2 import EventKind
from liftgate.v1.record_pb2 import DecisionRecord, EventRecord, InputColumn, LayerAssignment, ModelPin, SlotProbabilities

names = st.text(max_size=200)
numbers = st.floats(width=64)
codes = st.integers(0, 127)
times = st.integers(0, 2**62)


def floats(values: list[float], *shape: int) -> Any:
    """A float64 column."""
    return np.array(values, dtype=np.float64).reshape(shape or (len(values),))


@st.composite
def heads(draw: st.DrawFn) -> dict[str, Any]:
    """Scalars of a record, by field name."""
    return {
        "decision_id": draw(names),
        "request_id": draw(names),
        "decided_at_ms": draw(times),
        "trace_id": draw(st.binary(max_size=16)),
        "span_id": draw(st.binary(max_size=8)),
        "person_pseudonym": draw(st.binary(max_size=300)),
        "arm": draw(st.integers(0, 2)),
        "branch": draw(st.integers(0, 5)),
        "reason": draw(codes),
        "degraded": draw(st.booleans()),
        "fallback_reason": draw(codes),
        "offered": draw(st.lists(names, max_size=3)),
        "default_served": draw(st.booleans()),
        "would_offer": draw(st.lists(names, max_size=3)),
        "holdout_answer": draw(st.sampled_from(["", "none", "default_offer"])),
        "slot_count": draw(st.integers(0, 10)),
        "scored": draw(st.booleans()),
        "reservation_attempts": draw(st.integers(0, 5)),
        "masked_paths": draw(st.lists(names, max_size=2)),
        "valid_until_ms": draw(times),
        "batch_size": draw(st.integers(0, 300)),
    }


@st.composite
def columns(draw: st.DrawFn) -> dict[str, list[Any]]:
    """Aligned columns of a record, by field name."""

    def many(kind: st.SearchStrategy[Any], size: int) -> list[Any]:
        return draw(st.lists(kind, min_size=size, max_size=size))

    candidates, inputs = draw(st.integers(0, 40)), draw(st.integers(0, 30))
    return {
        "candidate_reason": many(codes, candidates),
        "candidate_propensity": many(numbers, candidates),
        "candidate_value": many(numbers, candidates),
        "slots": [many(numbers, candidates) for _ in range(draw(st.integers(0, 3)))],
        "draws": draw(st.lists(numbers, max_size=4)),
        "input_value": many(numbers, inputs),
        "input_age_s": many(numbers, inputs),
        "input_state": many(codes, inputs),
        "consent_reason": draw(st.lists(codes, max_size=3)),
        "stage_us": draw(st.lists(st.integers(0, 2**32 - 1), max_size=8)),
    }


def as_columns(given_columns: dict[str, list[Any]]) -> codec.DecisionColumns:
    """The columns as the codec takes them."""
    kinds = {"candidate_reason": np.uint8, "input_state": np.uint8, "consent_reason": np.uint8}
    arrays: dict[str, Any] = {
        name: np.array(values, dtype=kinds.get(name, np.float64))
        for name, values in given_columns.items()
        if name not in ("slots", "stage_us")
    }
    shape = (len(given_columns["slots"]), len(given_columns["candidate_reason"]))
    arrays["slots"] = np.array(given_columns["slots"], dtype=np.float64).reshape(shape)
    return codec.DecisionColumns(stage_us=given_columns["stage_us"], **arrays)


def as_bytes(message: Any) -> bytes:
    """Compare by canonical bytes: a message with NaN does not equal itself."""
    return bytes(message.SerializeToString(deterministic=True))


@settings(max_examples=120, deadline=None)
@given(heads(), columns(), st.lists(st.tuples(names, names), max_size=3))
def test_encoding_equals_the_generated_code(head: dict[str, Any], column: dict[str, list[Any]], layers: list[tuple[str, str]]) -> None:
    """A record written by hand parses to the message that the generated code builds from the same values."""
    constants: dict[str, Any] = {
        "pseudonym_key_id": "k1",
        "placement_id": "home.hero",
        "bundle": "shop",
        "bundle_digest": "d" * 64,
        "slate_scheme": "sequential_without_replacement",
        "candidate_offer_id": ["a", "b"],
        "purpose": ["personalization"],
    }
    template = codec.constant_part(**constants, models=[("m", 3, "e" * 64)], inputs=[("context.channel", "string", ["web", "app"])])
    parts = b"".join(codec.assignment_part(layer, arm) for layer, arm in layers)
    record = codec.encode_decision(template, codec.DecisionHead(assignments=parts, **head), as_columns(column))
    vectors: dict[str, Any] = {**column, "slots": [SlotProbabilities(probability=row) for row in column["slots"]]}
    want = DecisionRecord(
        **constants,
        **head,
        **vectors,
        models=[ModelPin(model="m", version=3, sha256="e" * 64)],
        inputs=[InputColumn(name="context.channel", type="string", values=["web", "app"])],
        assignments=[LayerAssignment(layer=layer, arm=arm) for layer, arm in layers],
    )
    assert as_bytes(codec.decode_decision(record)) == as_bytes(want)


def plain(**changes: Any) -> codec.DecisionColumns:
    """Columns of two candidates, one slot and one input."""
    given_columns: dict[str, Any] = {
        "candidate_reason": np.array([2, 30], dtype=np.uint8),
        "candidate_propensity": floats([0.5, np.nan]),
        "candidate_value": floats([4.0, np.nan]),
        "slots": floats([1.0, 0.0], 1, 2),
        "draws": floats([0.25]),
        "input_value": floats([1.0]),
        "input_age_s": floats([np.nan]),
        "input_state": np.array([1], dtype=np.uint8),
        "consent_reason": np.array([1], dtype=np.uint8),
        "stage_us": [1, 2],
    }
    return codec.DecisionColumns(**(given_columns | changes))


def head(**changes: Any) -> codec.DecisionHead:
    """Scalars of a plain decision."""
    values: dict[str, Any] = {
        "decision_id": "0" * 32,
        "request_id": "r",
        "decided_at_ms": 1,
        "trace_id": b"",
        "span_id": b"",
        "person_pseudonym": b"p" * 16,
        "arm": 1,
        "assignments": b"",
        "branch": 1,
        "reason": 60,
        "degraded": False,
        "fallback_reason": 0,
        "offered": ["a"],
        "default_served": False,
        "would_offer": [],
        "holdout_answer": "",
        "slot_count": 1,
        "scored": True,
        "reservation_attempts": 0,
        "masked_paths": [],
        "valid_until_ms": 2,
        "batch_size": 1,
    }
    return codec.DecisionHead(**(values | changes))


@pytest.mark.parametrize(
    "columns",
    [
        plain(candidate_reason=np.array([2], dtype=np.uint8)),
        plain(candidate_reason=np.array([2, 30], dtype=np.int64)),
        plain(candidate_reason=np.array([2, 128], dtype=np.uint8)),
        plain(consent_reason=np.array([1], dtype=np.int64)),
        plain(candidate_value=floats([1.0])),
        plain(slots=floats([1.0], 1, 1)),
        plain(slots=np.array([[1.0, 0.0]], dtype=np.float32)),
        plain(draws=np.array([0.5], dtype=np.float32)),
        plain(input_value=np.array([1.0], dtype=np.float32)),
        plain(input_age_s=floats([])),
        plain(stage_us=[-1]),
    ],
)
def test_misaligned_columns_are_refused(columns: codec.DecisionColumns) -> None:
    """Columns of another length, type or range never become a record that reads as something else."""
    with pytest.raises(ValueError, match="record"):
        codec.encode_decision(b"", head(), columns)


def test_numpy_scalars_and_row_views_are_taken() -> None:
    """Rows cut out of wider, non-contiguous columns and numpy scalars encode as their values."""
    wide = np.arange(8, dtype=np.float64).reshape(4, 2)
    record = codec.encode_decision(
        b"", head(decided_at_ms=np.int64(1_767_225_600_000), arm=np.uint8(2)), plain(candidate_value=wide[::2, 1])
    )
    got = codec.decode_decision(record)
    assert (list(got.candidate_value), got.decided_at_ms, got.arm) == ([1.0, 5.0], 1_767_225_600_000, 2)


def test_recovered_is_set_and_nothing_else_changes() -> None:
    """Marking a record as recovered changes that one field."""
    record = codec.encode_decision(b"", head(), plain(candidate_propensity=floats([0.5, 0.1]), input_age_s=floats([1.0])))
    want = codec.decode_decision(record)
    assert not want.recovered
    want.recovered = True
    assert codec.decode_decision(codec.mark_recovered(record)).SerializeToString() == want.SerializeToString()


def test_constant_parts_concatenate() -> None:
    """A bundle's part and a placement's part may be serialised apart and joined."""
    joined = codec.constant_part(bundle="shop") + codec.constant_part(placement_id="home.hero", candidate_offer_id=["a"])
    assert codec.decode_decision(joined) == DecisionRecord(bundle="shop", placement_id="home.hero", candidate_offer_id=["a"])


@pytest.mark.parametrize("value", [None, 0.0, 12.5])
def test_events_round_trip(value: float | None) -> None:
    """An event comes back as it was given, and no money stays different from money of 0."""
    fields: dict[str, Any] = {
        "event_id": "e1",
        "kind": EventKind.EVENT_KIND_PURCHASE,
        "person_pseudonym": b"p" * 16,
        "pseudonym_key_id": "k1",
        "decision_id": "d" * 32,
        "offer_id": "a",
        "occurred_at_ms": 5,
        "received_at_ms": 6,
        "currency": "EUR",
    }
    got = codec.decode_event(codec.encode_event(**fields, value=value))
    assert got == EventRecord(**fields, value=value)
    assert got.HasField("value") is (value is not None)


def test_bytes_that_are_no_record_are_a_value_error() -> None:
    """A reader meets one kind of error, whatever the bytes."""
    with pytest.raises(ValueError, match="decision record"):
        codec.decode_decision(b"\xff\xff")
    with pytest.raises(ValueError, match="event record"):
        codec.decode_event(b"\x0a\xff")
