"""With which probability another bundle would have done what was done: the column that off-policy evaluation needs."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
import pyarrow as pa
import pyarrow.csv as csv
import pyarrow.parquet as pq
from numpy.typing import NDArray

from liftgate.domain.batch import Bools
from liftgate.domain.input import Floats
from liftgate.domain.reason import Branch
from liftgate.replay.logged import Logged
from liftgate.replay.redecide import Redecided, Redecider

SCHEMA = pa.schema(
    [
        ("decision_id", pa.string()),
        ("unit", pa.string()),
        ("decided_at_ms", pa.int64()),
        ("placement_id", pa.string()),
        ("bundle_digest", pa.string()),
        ("slot", pa.int32()),
        ("action", pa.string()),
        ("logged_probability", pa.float64()),
        ("target_probability", pa.float64()),
        ("logged_conditional", pa.float64()),
        ("target_conditional", pa.float64()),
        ("unsupported", pa.float64()),
        ("target_action", pa.string()),
        ("reward", pa.float64()),
        ("why", pa.string()),
    ]
)
"""One row a decision and slot; docs/replay.md says what each column is."""
NOTHING = "(nothing)"
_CHOSEN = (Branch.EXPLOIT, Branch.EXPLORE, Branch.DEFAULT)


@dataclass(slots=True)
class Counterfactual:
    """What came of writing a table."""

    digest: str
    rows: int = 0
    usable: int = 0
    """Rows with a target probability."""
    why: Counter[str] = field(default_factory=Counter)
    """Rows without one: why, to count."""
    unsupported_rows: int = 0
    """Usable rows of which the other bundle gives some probability to what the log could not have shown."""
    unsupported_mass: float = 0.0
    """Mean of that probability over the first slots of usable rows."""
    first_slots: int = 0
    changed: int = 0
    """Usable decisions whose answer would have been another one, by the same draw."""


class Table:
    """Writes rows to a Parquet or CSV file; what was there is replaced when it is closed, and left alone when anything fails."""

    def __init__(self, path: Path) -> None:
        self._path, self._part = path, path.with_name(path.name + ".part")
        self._writer: Any = None

    def __enter__(self) -> Self:
        self._writer = pq.ParquetWriter(self._part, SCHEMA) if self._path.suffix == ".parquet" else csv.CSVWriter(self._part, SCHEMA)
        return self

    def write(self, columns: dict[str, Any]) -> None:
        """Write rows, one column for each name of `SCHEMA`."""
        self._writer.write_table(pa.table([pa.array(columns[one.name], one.type) for one in SCHEMA], schema=SCHEMA))

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._writer.close()
        if kind is None:
            self._part.replace(self._path)
        else:
            self._part.unlink(missing_ok=True)


def rows_of(logged: Logged, same: Bools, own: Redecided | None, other: Redecider, found: Counterfactual) -> dict[str, Any]:
    """Return the table's rows of some decisions. `same` [N]: those that came out as logged under their own bundle `own`."""
    n, slots = logged.n, logged.slots
    taken, names = _taken(logged)
    index = np.array([other.bundle.offer_index.get(name, -1) for name in logged.candidates] + [-1], dtype=np.intp)
    again = other(logged, index[taken]) if slots > 1 else other(logged)
    why = _why(logged, same, own, again)
    usable = np.array([not text for text in why], dtype=np.bool_)
    filled = taken >= 0
    filled[:, 0] = True
    row, slot = np.nonzero(filled)
    logged_at, target_at = _at(logged.probability, taken), _at(again.probability, index[taken])
    logged_none, target_none = logged.probability[0].sum(axis=1) <= 0, again.probability[0].sum(axis=1) <= 0
    # Where nothing was allowed, nothing else could have been done.
    logged_at[:, 0] = np.where(taken[:, 0] < 0, logged_none.astype(np.float64), logged_at[:, 0])
    target_at[:, 0] = np.where(taken[:, 0] < 0, target_none.astype(np.float64), target_at[:, 0])
    lost = _lost(logged, again, index, logged_none)
    prefix_logged, prefix_target = (np.cumprod(one, axis=1, dtype=np.float64) for one in (logged_at, target_at))
    found.rows += len(row)
    rows = usable[row]
    found.usable += int(rows.sum())
    found.why.update(why[r] for r in row[~rows].tolist())
    found.unsupported_rows += int((rows & (lost[row, slot] > 0)).sum())
    found.unsupported_mass += float(lost[usable, 0].sum())
    found.first_slots += int(usable.sum())
    # A slate followed along what was shown answers that; what the draws give is another question.
    target = _answers(other(logged) if slots > 1 else again, n)
    found.changed += sum(1 for r in np.flatnonzero(usable).tolist() if tuple(logged.offered[r]) != target[r])
    missing = np.full(len(row), np.nan)
    return {
        "decision_id": np.array(logged.decision_id, dtype=object)[row],
        "unit": _unit(logged)[row],
        "decided_at_ms": logged.now_ms[row],
        "placement_id": [logged.placement_id] * len(row),
        "bundle_digest": [logged.bundle_digest] * len(row),
        "slot": (slot + 1).astype(np.int32),
        "action": names[row, slot],
        "logged_probability": _null(prefix_logged[row, slot], usable[row]),
        "target_probability": _null(prefix_target[row, slot], usable[row]),
        "logged_conditional": _null(logged_at[row, slot], usable[row]),
        "target_conditional": _null(target_at[row, slot], usable[row]),
        "unsupported": _null(lost[row, slot], usable[row]),
        "target_action": [
            target[r][s] if usable[r] and s < len(target[r]) else NOTHING if usable[r] else None
            for r, s in zip(row.tolist(), slot.tolist(), strict=True)
        ],
        "reward": pa.array(missing, pa.float64(), mask=np.ones(len(row), dtype=np.bool_)),
        "why": np.array(why, dtype=object)[row],
    }


def unknowable(logged: Logged, why: str, found: Counterfactual) -> dict[str, Any]:
    """Return the rows of decisions of which nothing can be told, one each."""
    n = logged.n
    found.rows += n
    found.why[why] += n
    nothing = pa.nulls(n, pa.float64())
    return {
        "decision_id": list(logged.decision_id),
        "unit": _unit(logged).tolist(),
        "decided_at_ms": logged.now_ms,
        "placement_id": [logged.placement_id] * n,
        "bundle_digest": [logged.bundle_digest] * n,
        "slot": [1] * n,
        "action": [offers[0] if offers else NOTHING for offers in logged.offered],
        **{one.name: nothing for one in SCHEMA if one.type == pa.float64()},
        "target_action": [None] * n,
        "why": [why] * n,
    }


def _unit(logged: Logged) -> NDArray[np.object_]:
    """Return [N] the first eight bytes of the person's pseudonym, in hexadecimal digits."""
    return np.array([f"{one:016x}" for one in logged.person.byteswap().tolist()], dtype=object)


def _null(values: NDArray[Any], known: Bools) -> Any:
    return pa.array(values, pa.float64(), mask=~known)


def _answers(again: Redecided, n: int) -> list[tuple[str, ...]]:
    return again.offered or [()] * n


def _taken(logged: Logged) -> tuple[NDArray[np.intp], NDArray[np.object_]]:
    """Return [N, S] which candidate each slot held, -1: none, and what to call what was shown in it."""
    at = {name: c for c, name in enumerate(logged.candidates)}
    taken = np.full((logged.n, logged.slots), -1, dtype=np.intp)
    names = np.full((logged.n, logged.slots), NOTHING, dtype=object)
    # A default may stand in a slot for which nothing was left.
    drawn = logged.probability.sum(axis=2) > 0
    for row, offers in enumerate(logged.offered):
        for slot, offer in enumerate(offers):
            names[row, slot] = offer
            if slot < logged.slots and drawn[slot, row]:
                taken[row, slot] = at.get(offer, -1)
    return taken, names


def _at(probability: Floats, taken: NDArray[np.intp]) -> Floats:
    """Return [N, S] the probability of what each slot held, 0 where it held none of these."""
    n, slots = taken.shape
    found = probability.transpose(1, 0, 2)[np.arange(n)[:, None], np.arange(slots), np.maximum(taken, 0)]
    return np.where(taken < 0, 0.0, found)


def _lost(logged: Logged, again: Redecided, index: NDArray[np.intp], logged_none: Bools) -> Floats:
    """Return [N, S] the other bundle's probability on what the log could not have shown in the slot, given the slots before it."""
    known = index[:-1] >= 0
    columns = index[:-1][known]
    total = again.probability.sum(axis=2)
    could = (logged.probability[:, :, known] > 0) * again.probability[:, :, columns]
    lost = total - could.sum(axis=2)
    # Nothing instead of something: where the log always showed an offer, nothing is unsupported.
    lost[0] = np.where((total[0] <= 0) & ~logged_none, 1.0, lost[0])
    rounded: Floats = np.where(np.abs(lost) < 1e-12, 0.0, lost).T
    return rounded


def _why(logged: Logged, same: Bools, own: Redecided | None, again: Redecided) -> list[str]:
    """Return [N] why there is no target probability; empty: there is one."""
    held = np.zeros(logged.n, dtype=np.bool_)
    for out in logged.held_out.values():
        held |= out
    drawn = np.isin(logged.branch, _CHOSEN)
    texts = []
    for row, (other, fine, out, chose) in enumerate(zip(again.why_not, same.tolist(), held.tolist(), drawn.tolist(), strict=True)):
        if out:
            texts.append("held out: what was shown followed no policy")
        elif not fine:
            reason = own.why_not[row] if own is not None else ""
            texts.append(reason or "its own bundle does not give what the log says")
        elif other:
            texts.append(other)
        else:
            texts.append("" if chose else "an ablation arm, a baseline or a fallback answered, and no policy")
    return texts
