"""Logged decisions as columns: all of one bundle, placement and number of slots together. Needs pyarrow, as every offline reader."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from liftgate.domain.batch import Bools, Codes
from liftgate.domain.input import Floats
from liftgate.domain.reason import Branch, InputState, Reason
from liftgate.record.parquet import OnDamage, read_batches

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
    "candidate_untreated_propensity",
    "candidate_value",
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
    "branch",
    "models",
    "input_check",
    "silent_model",
    "cap_room",
    "profile_state",
    "withheld_offer",
    "mode",
    "baseline_offer",
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
    untreated: Floats
    """[N, C], or [N, 0]: no offer ranks by uplift."""
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
    branch: Codes
    """[N]"""
    worth: Floats
    """[N, C] of the outcome, NaN where not allowed."""
    pins: tuple[tuple[str, int, str], ...]
    """Model, version and SHA-256 of each model."""
    check: NDArray[np.uint16] | None
    """[N, I] `record.replay_part.input_check` of the inputs as they were written; None: an earlier version wrote none."""
    silent: dict[str, Bools]
    """Model to [N] whom it should have scored and did not."""
    cap_room: Sequence[tuple[int, bytes, int]]
    """(row, cap id, room) of caps that had less room than slots."""
    profile_state: Codes
    """[N] 1 + ProfileState; 0: an earlier version did not say."""
    apart: Bools
    """[N] what was answered is not what was chosen: something was withheld, or the placement learns."""
    baseline: Sequence[Sequence[str]]
    """[N] the caller's own choice."""

    @property
    def n(self) -> int:
        """Number of decisions."""
        return len(self.now_ms)

    @property
    def slots(self) -> int:
        """Number of slots asked for."""
        return len(self.probability)


def read_logged(directory: Path, on_damage: OnDamage | None = None) -> Iterator[Logged]:
    """Yield the decisions of a log, segments and sealed Parquet alike, some thousand at a time. Raises OSError, pa.ArrowException."""
    for batch in read_batches(directory, "decision", COLUMNS, on_damage):
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
        untreated=_matrix(batch, "candidate_untreated_propensity"),
        probability=np.ascontiguousarray(vectors.transpose(1, 0, 2)),
        draws=_matrix(batch, "draws"),
        scored=_bools(batch, "scored"),
        value=_matrix(batch, "input_value"),
        age_s=_matrix(batch, "input_age_s"),
        state=_codes(batch.column("input_state").flatten(), InputState).reshape(n, -1),
        masked=_holds(batch.column("masked_paths"), "profile.*"),
        consent=_codes(batch.column("consent_reason").flatten(), Reason).reshape(n, len(first["purpose"])),
        branch=_codes(batch.column("branch"), Branch),
        worth=_matrix(batch, "candidate_value"),
        pins=tuple((one["model"], one["version"], one["sha256"]) for one in first["models"]),
        check=_check(batch.column("input_check"), n, len(first["inputs"])),
        silent=_silent(batch.column("silent_model")),
        cap_room=_cap_room(batch.column("cap_room")),
        profile_state=_codes(batch.column("profile_state"), _State),
        apart=np.array(
            [
                bool(out or mode)
                for out, mode in zip(batch.column("withheld_offer").to_pylist(), batch.column("mode").to_pylist(), strict=True)
            ],
            dtype=np.bool_,
        ),
        baseline=batch.column("baseline_offer").to_pylist(),
    )


class _State(IntEnum):
    """`ProfileState` as the record numbers it."""

    UNSPECIFIED = 0
    FOUND = 1
    MISSING = 2
    UNREADABLE = 3
    UNAVAILABLE = 4


def _rows(column: Any) -> NDArray[np.intp]:
    """Return the row of each element of a list column."""
    rows: NDArray[np.intp] = np.repeat(np.arange(len(column)), np.diff(column.offsets.to_numpy()))
    return rows


def _holds(column: Any, text: str) -> Bools:
    """Say which rows of a list column hold a text."""
    found = np.zeros(len(column), dtype=np.bool_)
    found[_rows(column)[pc.equal(column.flatten(), text).to_numpy(zero_copy_only=False)]] = True
    return found


def _silent(column: Any) -> dict[str, Bools]:
    return {name: _holds(column, name) for name in pc.unique(column.flatten()).to_pylist()}


def _cap_room(column: Any) -> Sequence[tuple[int, bytes, int]]:
    return [(row, one["cap_id"], one["room"]) for row, one in zip(_rows(column).tolist(), column.flatten().to_pylist(), strict=True)]


def _check(column: Any, n: int, inputs: int) -> NDArray[np.uint16] | None:
    """Return [N, I] checks; None: at least one row has none."""
    raws = column.to_pylist()
    if any(len(raw) != 2 * inputs for raw in raws):
        return None
    return np.frombuffer(b"".join(raws), dtype="<u2").reshape(n, inputs)


def _matrix(batch: Any, name: str) -> Floats:
    found: Floats = batch.column(name).flatten().to_numpy(zero_copy_only=False).reshape(batch.num_rows, -1)
    return found.astype(np.float64)


def _bools(batch: Any, name: str) -> Bools:
    found: Bools = batch.column(name).to_numpy(zero_copy_only=False).astype(np.bool_)
    return found


def _codes(column: Any, names: type[IntEnum]) -> Codes:
    """Return the numbers of an enum column; a name of a newer version is UNSPECIFIED."""
    encoded = column if isinstance(column, pa.DictionaryArray) else column.dictionary_encode()
    known = names.__members__
    numbers = np.array([known[name].value if name in known else 0 for name in encoded.dictionary.to_pylist()] or [0], dtype=np.uint8)
    places = encoded.indices.to_numpy(zero_copy_only=False)
    codes: Codes = numbers[places.astype(np.intp)] if len(places) else np.zeros(0, dtype=np.uint8)
    return codes
