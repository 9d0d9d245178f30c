"""The record codec against the generated code."""

from __future__ import annotations

import struct
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from liftgate.record import codec, event_codec
from liftgate.record.wire import varint, varint_of
from liftgate.v1.event_service_pb2 import EventKind
from liftgate.v1.record_pb2 import DecisionRecord, EventRecord, InputColumn, LayerAssignment, ModelPin, SlotProbabilities

names = st.text(max_size=200)
numbers = st.floats(width=64)
codes = st.integers(0, 127)
times = st.integers(0, 2**62)


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
    }


Rows = list[dict[str, Any]]
CODES = ("candidate_reason", "input_state", "consent_reason")


@st.composite
def batches(draw: st.DrawFn) -> tuple[Rows, list[int]]:
    """The columns of one to three records of one shape, each by field name, and the stage times that they share."""

    def many(kind: st.SearchStrategy[Any], size: int) -> list[Any]:
        return draw(st.lists(kind, min_size=size, max_size=size))

    candidates, inputs, slots = draw(st.integers(0, 40)), draw(st.integers(0, 30)), draw(st.integers(0, 3))
    draws, purposes = draw(st.integers(0, 4)), draw(st.integers(0, 3))
    rows = [
        {
            "candidate_reason": many(codes, candidates),
            "candidate_propensity": many(numbers, candidates),
            "candidate_value": many(numbers, candidates),
            "slots": [many(numbers, candidates) for _ in range(slots)],
            "draws": many(numbers, draws),
            "input_value": many(numbers, inputs),
            "input_age_s": many(numbers, inputs),
            "input_state": many(codes, inputs),
            "consent_reason": many(codes, purposes),
        }
        for _ in range(draw(st.integers(1, 3)))
    ]
    return rows, draw(st.lists(st.integers(0, 2**32 - 1), max_size=8))


def as_columns(rows: Rows) -> codec.BatchColumns:
    """The columns as the codec takes them."""
    arrays: dict[str, Any] = {
        name: np.array([row[name] for row in rows], dtype=np.uint8 if name in CODES else np.float64) for name in rows[0] if name != "slots"
    }
    shape = (len(rows), len(rows[0]["slots"]), len(rows[0]["candidate_reason"]))
    arrays["slots"] = np.array([row["slots"] for row in rows], dtype=np.float64).reshape(shape).swapaxes(0, 1)
    return codec.BatchColumns(**arrays)


OWN = ("decision_id", "request_id", "decided_at_ms", "valid_until_ms", "person_pseudonym", "trace_id", "span_id")
"""Fields that are each decision's own."""


def with_head(columns: memoryview, head: dict[str, Any], walk: bytes = b"") -> bytes:
    """A record of encoded columns and the fields of a head."""
    outcome = codec.Outcome(**{name: value for name, value in head.items() if name not in OWN})
    times, more = codec.times_part(head["decided_at_ms"], head["valid_until_ms"]), codec.trace_part(head["trace_id"], head["span_id"])
    own = [head["decision_id"]], [head["request_id"]], [times], [head["person_pseudonym"]]
    (record,) = codec.encode_heads([columns], *own, [codec.outcome_part(outcome)], walk, [more])
    return record


def encoded(head: dict[str, Any], columns: codec.BatchColumns, template: bytes = b"") -> bytes:
    """The one record of a batch of one."""
    (part,) = codec.encode_columns(template, columns)
    return with_head(part, head)


def as_bytes(message: Any) -> bytes:
    """Compare by canonical bytes: a message with NaN does not equal itself."""
    return bytes(message.SerializeToString(deterministic=True))


def check_of(value: float) -> bytes:
    """Return the check of one input, worked out word by word."""
    one, two, three, four = struct.unpack("<4H", struct.pack("<d", value))
    return struct.pack("<H", one ^ two ^ three ^ four)


@settings(max_examples=120, deadline=None)
@given(heads(), batches(), st.lists(st.tuples(names, names), max_size=3), st.integers(0, 300))
def test_encoding_equals_the_generated_code(
    head: dict[str, Any], batch: tuple[Rows, list[int]], layers: list[tuple[str, str]], batch_size: int
) -> None:
    """Each record of a batch written by hand parses to the message that the generated code builds from the same values."""
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
    rows, stage_us = batch
    parsed = [
        codec.decode_decision(with_head(part, head | {"assignments": parts}, codec.walk_part(stage_us, batch_size)))
        for part in codec.encode_columns(template, as_columns(rows))
    ]
    assert len(parsed) == len(rows)
    for got, row in zip(parsed, rows, strict=True):
        vectors: dict[str, Any] = {**row, "slots": [SlotProbabilities(probability=slot) for slot in row["slots"]]}
        want = DecisionRecord(
            **constants,
            **head,
            **vectors,
            stage_us=stage_us,
            batch_size=batch_size,
            models=[ModelPin(model="m", version=3, sha256="e" * 64)],
            inputs=[InputColumn(name="context.channel", type="string", values=["web", "app"])],
            assignments=[LayerAssignment(layer=layer, arm=arm, phase=1, unit="person") for layer, arm in layers],
            input_check=b"".join(check_of(value) for value in row["input_value"]),
        )
        assert as_bytes(got) == as_bytes(want)


def row_of(kind: type, *values: float) -> Any:
    """A column of one record."""
    return np.array([values], dtype=kind)


def plain(**changes: Any) -> codec.BatchColumns:
    """Columns of one record of two candidates, one slot and one input."""
    given_columns: dict[str, Any] = {
        "candidate_reason": row_of(np.uint8, 2, 30),
        "candidate_propensity": row_of(np.float64, 0.5, np.nan),
        "candidate_value": row_of(np.float64, 4.0, np.nan),
        "slots": np.array([[[1.0, 0.0]]]),
        "draws": row_of(np.float64, 0.25),
        "input_value": row_of(np.float64, 1.0),
        "input_age_s": row_of(np.float64, np.nan),
        "input_state": row_of(np.uint8, 1),
        "consent_reason": row_of(np.uint8, 1),
    }
    return codec.BatchColumns(**(given_columns | changes))


def head(**changes: Any) -> dict[str, Any]:
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
    }
    return values | changes


@pytest.mark.parametrize(
    "columns",
    [
        plain(candidate_reason=row_of(np.uint8, 2)),
        plain(candidate_reason=row_of(np.int64, 2, 30)),
        plain(candidate_reason=row_of(np.uint8, 2, 128)),
        plain(consent_reason=row_of(np.int64, 1)),
        plain(candidate_value=row_of(np.float64, 1.0)),
        plain(candidate_value=np.array([[1.0, 2.0], [3.0, 4.0]])),
        plain(slots=np.array([[[1.0]]])),
        plain(slots=np.array([[[1.0, 0.0]]], dtype=np.float32)),
        plain(draws=row_of(np.float32, 0.5)),
        plain(input_value=row_of(np.float32, 1.0)),
        plain(input_age_s=row_of(np.float64)),
    ],
)
def test_misaligned_columns_are_refused(columns: codec.BatchColumns) -> None:
    """Columns of another length, type or range never become a record that reads as something else."""
    with pytest.raises(ValueError, match="record"):
        codec.encode_columns(b"", columns)


def test_a_number_out_of_range_is_refused() -> None:
    """A time before the epoch never becomes a record that reads as something else."""
    with pytest.raises(ValueError, match="record"):
        encoded(head(decided_at_ms=-1), plain())
    with pytest.raises(ValueError, match="record"):
        codec.walk_part([1, -1], 1)


def test_numpy_scalars_and_row_views_are_taken() -> None:
    """Rows cut out of wider, non-contiguous columns and numpy scalars encode as their values."""
    wide = np.arange(8, dtype=np.float64).reshape(4, 2)
    record = encoded(head(decided_at_ms=np.int64(1_767_225_600_000), arm=np.uint8(2)), plain(candidate_value=wide[::2, 1][None]))
    got = codec.decode_decision(record)
    assert (list(got.candidate_value), got.decided_at_ms, got.arm) == ([1.0, 5.0], 1_767_225_600_000, 2)


def test_recovered_is_set_and_nothing_else_changes() -> None:
    """Marking a record as recovered changes that one field."""
    record = encoded(head(), plain(candidate_propensity=row_of(np.float64, 0.5, 0.1), input_age_s=row_of(np.float64, 1.0)))
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
    got = event_codec.decode_event(event_codec.encode_event(**fields, value=value))
    assert got == EventRecord(**fields, value=value)
    assert got.HasField("value") is (value is not None)


def test_bytes_that_are_no_record_are_a_value_error() -> None:
    """A reader meets one kind of error, whatever the bytes."""
    with pytest.raises(ValueError, match="decision record"):
        codec.decode_decision(b"\xff\xff")
    with pytest.raises(ValueError, match="event record"):
        event_codec.decode_event(b"\x0a\xff")


@pytest.mark.parametrize(
    ("stage_us", "batch_size"),
    [([], 0), ([], 1), ([0], 127), ([1, 127, 128, 300], 128), ([0, 2**32 - 1], 2**32 - 1), ([2**14] * 200, 256)],
)
def test_what_a_walk_says_is_what_the_generated_code_writes(stage_us: list[int], batch_size: int) -> None:
    """Times of stages and the size of the batch are the generated code's bytes, at every length of a number."""
    assert codec.walk_part(stage_us, batch_size) == DecisionRecord(stage_us=stage_us, batch_size=batch_size).SerializeToString()


@pytest.mark.parametrize(("stage_us", "batch_size"), [([2**32], 1), ([1], 2**32), ([1], -1)])
def test_what_a_walk_says_has_its_range(stage_us: list[int], batch_size: int) -> None:
    """What the generated code would not take is not written either."""
    with pytest.raises(ValueError, match="out of range"):
        codec.walk_part(stage_us, batch_size)


@pytest.mark.parametrize("at", [0, 1, 127, 128, 1_763_800_000_000, 2**63 - 1])
@pytest.mark.parametrize("until", [0, 1_763_800_060_000, 2**63 - 1])
def test_times_are_what_the_generated_code_writes(at: int, until: int) -> None:
    """The two times of a record are the generated code's bytes, none where they are 0."""
    assert codec.times_part(at, until) == DecisionRecord(decided_at_ms=at, valid_until_ms=until).SerializeToString()
    for wrong in ((-1, until), (at, -1), (2**63, until), (at, 2**63)):
        with pytest.raises(ValueError, match="out of range"):
            codec.times_part(*wrong)


@given(st.integers(min_value=0, max_value=2**64 - 1))
def test_a_number_that_comes_once_is_written_as_any_other(number: int) -> None:
    """A time, whose upper bits are remembered, has the bytes of any other varint."""
    assert varint_of(number) == varint(number)
