"""Logged decisions as columns: all of one bundle, placement and number of slots together. Needs pyarrow, as every offline reader."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from liftgate.domain.batch import Bools, Codes
from liftgate.domain.input import Floats
from liftgate.domain.reason import InputState, Reason
from liftgate.record.parquet import read_batches

COLUMNS = [
    "decision_id",
    "decided_at_ms",
    "person_pseudonym",
    "placement_id",
    "bundle_digest",
    "assignments",
    "reason",
    "fallback_reason",
    "offered",
    "default_served",
    "would_offer",
    "would_offer_default",
    "slot_count",
    "candidate_offer_id",
    "candidate_reason",
    "candidate_propensity",
    "slots",
    "scored",
    "draws",
    "inputs",
    "input_value",
    "input_age_s",
    "input_state",
    "masked_paths",
    "purpose",
    "consent_reason",
]


@dataclass(frozen=True, slots=True)
class LoggedInput:
    """One input as the record describes it."""

    name: str
    type: str
    values: tuple[str, ...]


@dataclass(slots=True)
class Logged:
    """N decisions of one bundle, placement and number of slots: C candidates, S slots, I inputs, P purposes."""

    bundle_digest: str
    placement_id: str
    candidates: tuple[str, ...]
    inputs: tuple[LoggedInput, ...]
    purposes: tuple[str, ...]
    decision_id: Sequence[str]
    person: NDArray[np.uint64]
    """[N] first eight bytes of the pseudonym."""
    now_ms: NDArray[np.int64]
    held_out: dict[str, Bools]
    """Layer to [N]."""
    arms: dict[str, Sequence[str]]
    """Layer to [N] arms, empty: not in the layer."""
    offered: Sequence[Sequence[str]]
    would_offer: Sequence[Sequence[str]]
    default_shown: Bools
    """[N] what was answered, or would have been, is the default offer."""
    reason: Codes
    """[N] of the decision."""
    fallback: Codes
    """[N] Reason, 0: no stage failed."""
    candidate_reason: Codes
    """[N, C]"""
    propensity: Floats
    """[N, C]"""
    probability: Floats
    """[S, N, C]"""
    draws: Floats
    """[N, S]"""
    scored: Bools
    value: Floats
    """[N, I]"""
    age_s: Floats
    """[N, I]"""
    state: Codes
    """[N, I] InputState."""
    masked: Bools
    consent: Codes
    """[N, P]"""

    @property
    def n(self) -> int:
        """Number of decisions."""
        return len(self.now_ms)

    @property
    def slots(self) -> int:
        """Number of slots asked for."""
        return len(self.probability)


def read_logged(directory: Path) -> Iterator[Logged]:
    """Yield the decisions of a log, segments and sealed Parquet alike, some thousand at a time. Raises OSError, pa.ArrowException."""
    for batch in read_batches(directory, "decision", COLUMNS):
        groups: dict[tuple[Any, ...], list[int]] = {}
        keys = zip(*(batch.column(name).to_pylist() for name in ("bundle_digest", "placement_id", "slot_count")), strict=True)
        for row, key in enumerate(keys):
            groups.setdefault(key, []).append(row)
        for (digest, placement, slots), rows in groups.items():
            yield _logged(batch.take(pa.array(rows)), digest, placement, slots)


def _logged(batch: Any, digest: str, placement: str, slots: int) -> Logged:
    n = batch.num_rows
    first = batch.slice(0, 1).to_pylist()[0]
    assignments = batch.column("assignments").to_pylist()
    layers = dict.fromkeys(one["layer"] for row in assignments for one in row)
    held = {layer: np.array([any(a["layer"] == layer and a["arm"] == "holdout" for a in row) for row in assignments]) for layer in layers}
    candidates = tuple(first["candidate_offer_id"])
    vectors = batch.column("slots").flatten().flatten().to_numpy(zero_copy_only=False).reshape(n, slots, len(candidates))
    pseudonyms = b"".join(bytes(one[:8]).ljust(8, b"\0") for one in batch.column("person_pseudonym").to_pylist())
    return Logged(
        bundle_digest=digest,
        placement_id=placement,
        candidates=candidates,
        inputs=tuple(LoggedInput(one["name"], one["type"], tuple(one["values"])) for one in first["inputs"]),
        purposes=tuple(first["purpose"]),
        decision_id=batch.column("decision_id").to_pylist(),
        person=np.frombuffer(pseudonyms, dtype="<u8").astype(np.uint64),
        now_ms=batch.column("decided_at_ms").to_numpy(),
        held_out=held,
        arms={layer: [next((a["arm"] for a in row if a["layer"] == layer), "") for row in assignments] for layer in layers},
        offered=batch.column("offered").to_pylist(),
        would_offer=batch.column("would_offer").to_pylist(),
        default_shown=_bools(batch, "default_served") | _bools(batch, "would_offer_default"),
        reason=_codes(batch.column("reason"), Reason),
        fallback=_codes(batch.column("fallback_reason"), Reason),
        candidate_reason=_codes(batch.column("candidate_reason").flatten(), Reason).reshape(n, -1),
        propensity=_matrix(batch, "candidate_propensity"),
        probability=np.ascontiguousarray(vectors.transpose(1, 0, 2)),
        draws=_matrix(batch, "draws"),
        scored=_bools(batch, "scored"),
        value=_matrix(batch, "input_value"),
        age_s=_matrix(batch, "input_age_s"),
        state=_codes(batch.column("input_state").flatten(), InputState).reshape(n, -1),
        masked=np.array([bool(paths) for paths in batch.column("masked_paths").to_pylist()]),
        consent=_codes(batch.column("consent_reason").flatten(), Reason).reshape(n, len(first["purpose"])),
    )


def _matrix(batch: Any, name: str) -> Floats:
    found: Floats = batch.column(name).flatten().to_numpy(zero_copy_only=False).reshape(batch.num_rows, -1)
    return found.astype(np.float64)


def _bools(batch: Any, name: str) -> Bools:
    found: Bools = batch.column(name).to_numpy(zero_copy_only=False).astype(np.bool_)
    return found


def _codes(column: Any, names: type[Reason] | type[InputState]) -> Codes:
    """Return the numbers of an enum column; a name of a newer version is UNSPECIFIED."""
    encoded = column if isinstance(column, pa.DictionaryArray) else column.dictionary_encode()
    known = names.__members__
    numbers = np.array([known[name].value if name in known else 0 for name in encoded.dictionary.to_pylist()] or [0], dtype=np.uint8)
    places = encoded.indices.to_numpy(zero_copy_only=False)
    codes: Codes = numbers[places.astype(np.intp)] if len(places) else np.zeros(0, dtype=np.uint8)
    return codes
