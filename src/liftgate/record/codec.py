"""Decisions as bytes: `DecisionRecord`, written fast and read with the generated code.

A protobuf message may be written as a concatenation of its parts, so what is constant for a bundle and a placement is
serialised once (`constant_part`) and every record is `template + what differs`. Numeric columns are packed fields,
which are numpy's own little-endian bytes behind a tag and a length. Pure and thread-safe.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from functools import lru_cache
from itertools import repeat
from operator import attrgetter
from typing import Any, NamedTuple

import numpy as np
from google.protobuf.message import DecodeError
from numpy.typing import NDArray

from liftgate.record.columns import BatchColumns, Outcome
from liftgate.record.replay_part import input_check
from liftgate.record.wire import ahead, layout, tag, varint, varint_of
from liftgate.v1.record_pb2 import ArmChange, DecisionRecord, InputColumn, LayerAssignment, ModelPin, ReviewVerdict

__all__ = [
    "BatchColumns",
    "Outcome",
    "account_part",
    "assignment_part",
    "constant_part",
    "controls_part",
    "decode_decision",
    "default_part",
    "encode_columns",
    "encode_heads",
    "mark_recovered",
    "outcome_part",
    "review_part",
    "times_part",
    "trace_part",
    "variant_part",
    "visit_part",
    "walk_part",
]

if sys.byteorder != "little":  # packed doubles are copied as they lie in memory
    raise ImportError("liftgate.record.codec needs a little-endian machine")

_DECISION_ID, _REQUEST_ID = tag("decision_id"), tag("request_id")
_TRACE_ID, _SPAN_ID, _PSEUDONYM = tag("trace_id"), tag("span_id"), tag("person_pseudonym")
_ahead = lru_cache(maxsize=1024)(ahead)
_ASSIGNMENTS = tag("assignments")
_ACCOUNT_PSEUDONYM = tag("account_pseudonym")
_INPUT_CHECK = tag("input_check")
_RECOVERED = tag("recovered", 0) + b"\x01"
_DECIDED_AT, _VALID_UNTIL, _STAGE_US, _BATCH_SIZE = tag("decided_at_ms", 0), tag("valid_until_ms", 0), tag("stage_us"), tag("batch_size", 0)
_UINT32, _INT64 = 2**32 - 1, 2**63 - 1
SHADOW = "candidate_shadow_reason"
"""The one further column that holds codes."""

_SHAPE, _TYPE = attrgetter("shape"), attrgetter("dtype")


class _RowType(NamedTuple):
    """How a decision's columns lie in its record."""

    names: tuple[str, ...]
    """As given, in order; the check of inputs is not given."""
    types: tuple[np.dtype[Any], ...]
    widths: tuple[int, ...]
    row: NDArray[np.void]
    """One row that numpy lays out like the record, constants in place."""


def constant_part(
    *,
    pseudonym_key_id: str = "",
    placement_id: str = "",
    bundle: str = "",
    bundle_digest: str = "",
    models: Iterable[tuple[str, int, str]] = (),
    slate_scheme: str = "",
    candidate_offer_id: Iterable[str] = (),
    inputs: Iterable[tuple[str, str, Iterable[str]]] = (),
    purpose: Iterable[str] = (),
    policy: str = "",
) -> bytes:
    """Return the fields that are constant for a bundle and a placement, encoded. Parts may be concatenated.

    `models` are (model, version, sha256), `inputs` are (name, type, values), as in `ModelPin` and `InputColumn`.
    """
    return DecisionRecord(
        pseudonym_key_id=pseudonym_key_id,
        placement_id=placement_id,
        bundle=bundle,
        bundle_digest=bundle_digest,
        models=[ModelPin(model=model, version=version, sha256=sha256) for model, version, sha256 in models],
        slate_scheme=slate_scheme,
        candidate_offer_id=candidate_offer_id,
        inputs=[InputColumn(name=name, type=kind, values=values) for name, kind, values in inputs],
        purpose=purpose,
        policy=policy,
    ).SerializeToString()


@lru_cache(maxsize=4096)
def assignment_part(layer: str, arm: str, phase: int = 1, share: float | None = None, unit: str = "person") -> bytes:
    """Return one encoded `LayerAssignment` field, to be concatenated into `Outcome.assignments`. `share`: of all units, 0..1."""
    raw = LayerAssignment(layer=layer, arm=arm, phase=phase, share=share, unit=unit).SerializeToString()
    return _ASSIGNMENTS + varint(len(raw)) + raw


@lru_cache(maxsize=4096)
def default_part(jurisdiction: str, purposes: tuple[str, ...]) -> bytes:
    """Return which purposes the default of which jurisdiction decided, encoded, for the end of a record."""
    return DecisionRecord(jurisdiction=jurisdiction, purpose_by_default=purposes).SerializeToString()


def review_part(verdicts: Iterable[tuple[str, bool, str, int, int, str]], requested: tuple[str, str] | None) -> bytes:
    """Return what reviewers said and what waits for one, encoded, for the end of a record.

    `verdicts` are (offer, approved, reviewer, at_ms, latency_ms, review id), `requested` is (offer, review id).
    """
    record = DecisionRecord(
        review_verdicts=[
            ReviewVerdict(offer_id=offer, approved=approved, reviewer=reviewer, at_ms=at_ms, latency_ms=latency_ms, review_id=review_id)
            for offer, approved, reviewer, at_ms, latency_ms, review_id in verdicts
        ]
    )
    if requested is not None:
        record.review_requested.offer_id, record.review_requested.review_id = requested
    return record.SerializeToString()


def variant_part(
    candidate_model: Iterable[int], ablation: str, changes: Iterable[tuple[str, str, Iterable[str]]], policy: str = ""
) -> bytes:
    """Return what arms changed, encoded, for the end of a record; empty where that is nothing.

    `candidate_model` as in the record, `changes` are (layer, arm, changed) as in `ArmChange`; `policy` where it is not the placement's.
    """
    changed = [ArmChange(layer=layer, arm=arm, changed=words) for layer, arm, words in changes]
    return DecisionRecord(candidate_model=candidate_model, ablation=ablation, arm_changes=changed, policy=policy).SerializeToString()


@lru_cache(maxsize=64)
def controls_part(version: int) -> bytes:
    """Return the version of the controls, encoded, to go with the constant parts."""
    return DecisionRecord(controls_version=version).SerializeToString()


def visit_part(session_pseudonym: bytes, visitor_pseudonym: bytes) -> bytes:
    """Return what stands for the session and the visitor, encoded, for the end of a record; empty ones are not written."""
    return DecisionRecord(session_pseudonym=session_pseudonym, visitor_pseudonym=visitor_pseudonym).SerializeToString()


PERSONAL_UNITS = DecisionRecord(units_are_personal=True).SerializeToString()
"""Says that the person's own key made the pseudonyms of account, session and visitor, for the end of a record."""


def account_part(account_pseudonym: bytes) -> bytes:
    """Return what stands for the account, encoded, for the end of a record."""
    return ahead(_ACCOUNT_PSEUDONYM, len(account_pseudonym)) + account_pseudonym


def outcome_part(outcome: Outcome) -> bytes:
    """Return an outcome, encoded, for `encode_heads`. Callers remember it."""
    some = DecisionRecord(
        arm=outcome.arm,  # type: ignore[arg-type]
        branch=outcome.branch,  # type: ignore[arg-type]
        reason=outcome.reason,  # type: ignore[arg-type]
        degraded=outcome.degraded,
        fallback_reason=outcome.fallback_reason,  # type: ignore[arg-type]
        offered=outcome.offered,
        default_served=outcome.default_served,
        would_offer=outcome.would_offer,
        holdout_answer=outcome.holdout_answer,
        slot_count=outcome.slot_count,
        scored=outcome.scored,
        reservation_attempts=outcome.reservation_attempts,
        masked_paths=outcome.masked_paths,
        would_offer_default=outcome.would_offer_default,
        consent_version=outcome.consent_version,
        profile_state=outcome.profile_state,  # type: ignore[arg-type]
    )
    return outcome.assignments + some.SerializeToString()


@lru_cache(maxsize=256)
def _row_type(template: bytes, candidates: int, slots: int, draws: int, inputs: int, purposes: int, more: tuple[str, ...]) -> _RowType:
    ahead_of = layout(candidates, 8 * draws, inputs, purposes)
    columns: list[tuple[bytes, str, str, int]] = [
        (template + ahead_of.candidate_reason, "candidate_reason", "u1", candidates),
        (ahead_of.candidate_propensity, "candidate_propensity", "<f8", candidates),
        (ahead_of.candidate_value, "candidate_value", "<f8", candidates),
        (ahead_of.input_value, "input_value", "<f8", inputs),
        (ahead_of.input_age_s, "input_age_s", "<f8", inputs),
        (ahead_of.input_state, "input_state", "u1", inputs),
        (ahead(_INPUT_CHECK, 2 * inputs), "input_check", "<u2", inputs),
        (ahead_of.consent_reason, "consent_reason", "u1", purposes),
        (ahead_of.draws, "draws", "<f8", draws),
    ]
    for name in more:
        kind = "u1" if name == SHADOW else "<f8"
        columns.append((ahead(tag(name), candidates * np.dtype(kind).itemsize), name, kind, candidates))
    columns += [(ahead_of.slot, f"slot {slot}", "<f8", candidates) for slot in range(slots)]
    fields: list[tuple[str, str] | tuple[str, str, tuple[int]]] = []
    for constant, name, kind, width in columns:
        fields += [(f"ahead of {name}", f"V{len(constant)}"), (name, kind, (width,))]
    row = np.zeros(1, dtype=np.dtype(fields))
    for constant, name, _, _ in columns:
        row[f"ahead of {name}"] = np.void(constant)
    given = [(name, np.dtype(kind), width) for _, name, kind, width in columns if name != "input_check"]
    names, types, widths = zip(*given, strict=True)
    return _RowType(names, types, widths, row)


@lru_cache(maxsize=4096)
def _shapes(n: int, widths: tuple[int, ...]) -> tuple[tuple[int, int], ...]:
    return tuple([(n, width) for width in widths])


def walk_part(stage_us: Iterable[int], batch_size: int) -> bytes:
    """Return what a walk says of all its decisions, encoded: times by Stage number from ASSIGN, each 0..2**32-1, and how many they are.

    Raises ValueError when a number is negative.
    """
    # By hand, as the times: the generated code is needed nowhere else in a walk, and would be cold.
    times = list(stage_us)
    if batch_size > _UINT32 or (times and max(times) > _UINT32):
        raise ValueError("number out of range for the record")
    packed = b"".join(map(varint, times))
    return (_STAGE_US + varint(len(packed)) + packed if packed else b"") + (_BATCH_SIZE + varint(batch_size) if batch_size else b"")


@lru_cache(maxsize=64)
def times_part(decided_at_ms: int, valid_until_ms: int) -> bytes:
    """Return when a decision was made and until when it is valid, encoded. Raises ValueError when a number is negative or out of range."""
    # Remembered for the other rows of a batch.
    if decided_at_ms > _INT64 or valid_until_ms > _INT64:
        raise ValueError("number out of range for the record")
    decided = _DECIDED_AT + varint_of(decided_at_ms) if decided_at_ms else b""
    return decided + _VALID_UNTIL + varint_of(valid_until_ms) if valid_until_ms else decided


def encode_columns(template: bytes, columns: BatchColumns) -> list[memoryview]:
    """Return the columns' part of N records, encoded, each with the constant parts in `template` before it.

    Raises ValueError when columns are not aligned, have another type than declared, or hold a code above 127.
    """
    reason, propensity, value, inputs, age, state, consent, draws, slots, more = columns
    depth, n, candidates = slots.shape
    found = (reason, propensity, value, inputs, age, state, consent, draws, *more.values(), *slots)
    names, types, widths, row = _row_type(template, candidates, depth, draws.shape[1], state.shape[1], consent.shape[1], tuple(more))
    if tuple(map(_SHAPE, found)) != _shapes(n, widths) or tuple(map(_TYPE, found)) != types:
        raise ValueError("columns of a record must be aligned: float64 numbers and uint8 codes, one for each candidate or input")
    rows = row.repeat(n)
    for name, column in zip(names, found, strict=True):
        rows[name] = column
    rows["input_check"] = input_check(inputs)
    codes = (reason, state, consent, more[SHADOW]) if SHADOW in more else (reason, state, consent)
    if not b"".join(map(np.ndarray.tobytes, codes)).isascii():
        raise ValueError("codes of a record must be below 128")
    # Views: a record's bytes are copied once, into the record.
    whole, size = rows.view(np.uint8).data, rows.itemsize
    return [whole[at : at + size] for at in range(0, n * size, size)]


def encode_heads(
    columns: Sequence[memoryview],
    decision_ids: Sequence[str],
    request_ids: Sequence[str],
    times: Iterable[bytes],
    person_pseudonyms: Sequence[bytes],
    outcomes: Iterable[bytes],
    walk: bytes,
    more: Iterable[bytes],
) -> list[bytes]:
    """Return N `DecisionRecord`s, encoded: columns as `encode_columns` gave them, what is each one's own, and the walk's `walk_part`.

    `times` are `times_part`s, `outcomes` are `outcome_part`s, and `more` are further fields, encoded, that most records have not.
    """
    own, asked = list(map(str.encode, decision_ids)), list(map(str.encode, request_ids))
    parts = zip(
        *(columns, _ahead_of(_DECISION_ID, own), own, _ahead_of(_REQUEST_ID, asked), asked, times),
        *(_ahead_of(_PSEUDONYM, person_pseudonyms), person_pseudonyms, outcomes, repeat(walk), more),
        strict=False,
    )
    return list(map(b"".join, parts))


def _ahead_of(field: bytes, values: Sequence[bytes]) -> Iterable[bytes]:
    """Return what stands before each of a field's values."""
    sizes = list(map(len, values))
    if sizes.count(sizes[0]) == len(sizes):
        return repeat(_ahead(field, sizes[0]))
    return map(_ahead, repeat(field), sizes)


def trace_part(trace_id: bytes, span_id: bytes) -> bytes:
    """Return the span that a decision belongs to, encoded, for the end of a record; empty ones are not written."""
    trace = ahead(_TRACE_ID, len(trace_id)) + trace_id if trace_id else b""
    return trace + ahead(_SPAN_ID, len(span_id)) + span_id if span_id else trace


def mark_recovered(record: bytes) -> bytes:
    """Return the encoded decision with `recovered` set: it is completed by another worker than the one that decided."""
    return record + _RECOVERED


def decode_decision(record: bytes) -> DecisionRecord:
    """Return the decision of an encoded record. Raises ValueError when it is none."""
    try:
        return DecisionRecord.FromString(record)
    except DecodeError as cause:
        raise ValueError("not a decision record") from cause
