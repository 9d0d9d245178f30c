"""A made-up log of any size, as sealed segments, and what a replay of it would have written."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from liftgate.measure import decision_table, experiment, log_inputs, quality
from liftgate.record.columnar import absent, schema
from liftgate.record.frame import Stream
from liftgate.replay.counterfactual import SCHEMA

START_MS = 1_767_225_600_000
DAY_MS = 86_400_000
CHUNK = 500_000
"""Rows of one file."""
OFFER, OTHER = "winter-sale", "summer-sale"
REPLAYED = "replayed.parquet"
_COLUMNS = (
    *experiment.DECISION_COLUMNS, *experiment.SCORE_COLUMNS, *quality.DECISION_COLUMNS, *decision_table.DECISION_COLUMNS,
    *log_inputs.COLUMNS,
)  # fmt: skip


def write_log(directory: Path, decisions: int, events: int, seed: int = 1) -> None:
    """Write a log of sealed segments: decisions over 7 days, outcomes over 14."""
    rng, people = np.random.default_rng(seed), max(1, decisions // 2)
    made: tuple[tuple[Stream, int, tuple[str, ...], Callable[..., Mapping[str, Any]]], ...] = (
        (Stream.DECISION, decisions, _COLUMNS, _decided),
        (Stream.EVENT, events, (*experiment.EVENT_COLUMNS, *quality.EVENT_COLUMNS, *decision_table.EVENT_COLUMNS), _happened),
    )
    for writer, (stream, total, columns, make) in enumerate(made, start=1):
        full = schema(stream)
        wanted = pa.schema([full.field(name) for name in dict.fromkeys((*columns, "writer_id", "sequence"))])
        for first in range(0, total, CHUNK):
            numbers = np.arange(first, min(first + CHUNK, total))
            found = make(rng, numbers, rng.integers(0, people, len(numbers)).astype(np.uint64), wanted)
            found = {"writer_id": _one(f"{writer:032x}", len(numbers)), "sequence": pa.array(numbers), **found}
            arrays = [found[f.name].cast(f.type) if f.name in found else absent(f, len(numbers)).cast(f.type) for f in wanted]
            name = f"{stream.label}-{START_MS}-{writer:032x}-{first // CHUNK:06d}.parquet"
            pq.write_table(pa.Table.from_arrays(arrays, schema=wanted), directory / name, compression="zstd", row_group_size=100_000)


def _decided(rng: np.random.Generator, numbers: Any, people: Any, wanted: Any) -> Mapping[str, Any]:
    n, held = len(numbers), people % np.uint64(10) == 0
    drawn = pa.array([OFFER, OTHER]).take(pa.array((rng.random(n) < 0.4).astype(np.int32)))
    kind = wanted.field("assignments").type
    there = {
        "layer": _one("universal", n),
        "arm": pa.array(np.where(held, "holdout", "treatment")),
        "share": pa.array(np.where(held, 0.1, 0.9)),
    }
    parts = [(there[f.name] if f.name in there else pa.nulls(n)).cast(f.type) for f in kind.value_type]
    return {
        "decision_id": _ids(numbers),
        "decided_at_ms": pa.array(START_MS + rng.integers(0, 7 * DAY_MS, n)),
        "person_pseudonym": _pseudonyms(people),
        "pseudonym_key_id": _one("k1", n),
        "placement_id": _one("home", n),
        "bundle_digest": _one("d" * 64, n),
        "arm": pa.array(np.where(held, "HOLDOUT", "TREATMENT")).dictionary_encode(),
        "assignments": pa.ListArray.from_arrays(
            np.arange(n + 1, dtype=np.int32), pa.StructArray.from_arrays(parts, fields=list(kind.value_type))
        ),
        "branch": pa.array(np.where(rng.random(n) < 0.1, "EXPLORE", "EXPLOIT")).dictionary_encode(),
        "slot_count": pa.array(np.ones(n, dtype=np.uint32)),
        "default_served": pa.array(np.zeros(n, dtype=bool)),
        "candidate_offer_id": _two(pa.array([OFFER, OTHER] * n)),
        "candidate_propensity": _two(pa.array(rng.random(2 * n) * 0.1)),
        "slots": pa.ListArray.from_arrays(np.arange(n + 1, dtype=np.int32), _two(pa.array(np.tile([0.6, 0.4], n)))),
        "fallback_reason": _one("UNSPECIFIED", n).dictionary_encode(),
        "offered": _some(~held, drawn),
        "would_offer": _some(held, drawn),
    }


def _happened(rng: np.random.Generator, numbers: Any, people: Any, wanted: Any) -> Mapping[str, Any]:
    n = len(numbers)
    at = pa.array(START_MS + rng.integers(0, 14 * DAY_MS, n))
    return {
        "event_id": _ids(numbers),
        "kind": pa.array(np.where(rng.random(n) < 0.3, "PURCHASE", "EXPOSURE")).dictionary_encode(),
        "person_pseudonym": _pseudonyms(people),
        "occurred_at_ms": at,
        "received_at_ms": at,
        "value": pa.array(rng.random(n) * 50),
    }


def _two(values: Any) -> Any:
    """Return lists of two."""
    return pa.ListArray.from_arrays(np.arange(0, len(values) + 1, 2, dtype=np.int32), values)


def write_replayed(directory: Path, decisions: int, seed: int = 2) -> None:
    """Write the table that a replay under another bundle would have written of the log."""
    rng = np.random.default_rng(seed)
    with pq.ParquetWriter(directory / REPLAYED, SCHEMA) as writer:
        for first in range(0, decisions, CHUNK):
            numbers = np.arange(first, min(first + CHUNK, decisions))
            n = len(numbers)
            found = {
                "decision_id": _ids(numbers),
                "unit": pa.array([f"{one:032x}" for one in rng.integers(0, decisions // 2 + 1, n)]),
                "slot": pa.array(np.zeros(n, dtype=np.int32)),
                "action": _one(OFFER, n),
                "logged_probability": pa.array(np.full(n, 0.6)),
                "target_probability": pa.array(np.where(rng.random(n) < 0.5, 0.9, 0.3)),
                "unsupported": pa.array(np.zeros(n)),
            }
            made = [found[f.name].cast(f.type) if f.name in found else pa.nulls(n, f.type) for f in SCHEMA]
            writer.write_table(pa.Table.from_arrays(made, schema=SCHEMA))


def _one(value: str, n: int) -> Any:
    return pa.array([value]).take(pa.array(np.zeros(n, dtype=np.int32)))


def _ids(numbers: Any) -> Any:
    """Return 32 hexadecimal digits a number, made of bytes, column by column."""
    places = (np.asarray(numbers, dtype=np.uint64)[:, None] >> np.arange(60, -4, -4, dtype=np.uint64)) & np.uint64(15)
    digits = np.frombuffer(b"0123456789abcdef", dtype=np.uint8)[places.astype(np.intp)]
    text = np.concatenate([np.full((len(digits), 16), ord("0"), dtype=np.uint8), digits], axis=1)
    offsets = np.arange(0, 32 * len(text) + 1, 32, dtype=np.int32)
    return pa.StringArray.from_buffers(len(text), pa.py_buffer(offsets.tobytes()), pa.py_buffer(np.ascontiguousarray(text).tobytes()))


def _some(there: Any, offers: Any) -> Any:
    """Return a list a row: of one offer, or of none."""
    offsets = np.concatenate([[0], np.cumsum(there)]).astype(np.int32)
    return pa.ListArray.from_arrays(offsets, offers.filter(pa.array(there)))


def _pseudonyms(people: Any) -> Any:
    """Return 16 bytes a person."""
    both = np.stack([people * np.uint64(0x9E37_79B9_7F4A_7C15), people], axis=1)
    return pa.FixedSizeBinaryArray.from_buffers(pa.binary(16), len(people), [None, pa.py_buffer(both.tobytes())]).cast(pa.binary())
