"""Reading a log to replay it: decisions as columns, and damage named as closely as it can be."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from struct import Struct

import numpy as np
import pyarrow as pa

from liftgate.record.codec import decode_decision
from liftgate.record.frame import FRAME_OVERHEAD, MAX_PAYLOAD, Damage
from liftgate.record.parquet import ROW_GROUP_ROWS, open_parquet
from liftgate.record.replay_part import input_check
from liftgate.replay.again import Replayed
from liftgate.replay.logged import Logged, read_logged

_FRAME = Struct("<IIQ")


class NotedDamage:
    """Notes damage to segments; where a record's frame can still be made out, the input that changed in it is named."""

    def __init__(self, found: Replayed) -> None:
        self._found = found

    def __call__(self, path: Path, damage: Damage) -> None:
        """See `record.parquet.OnDamage`."""
        inside = _look_into(path, damage) if damage.cause == "checksum" else None
        if inside is not None:
            decision_id, names = inside
            for name in names:
                said = f"the value of {name} in the record is not the one that was written ({path.name}, byte {damage.offset})"
                self._found.note("feature", name, said, 0, decision_id)
            if names:
                decision_id = ""
        else:
            decision_id = ""
        said = f"it cannot be read from byte {damage.offset} on ({damage.cause}): {damage.size:,} bytes were not replayed"
        self._found.note("log", path.name, said, 0, decision_id)


def _look_into(path: Path, damage: Damage) -> tuple[str, list[str]] | None:
    """Return (decision_id, inputs that are not what was written) of a frame whose checksum is wrong; None: it is no record any more."""
    with path.open("rb") as file:
        file.seek(damage.offset)
        head = file.read(FRAME_OVERHEAD)
        if len(head) < FRAME_OVERHEAD:
            return None
        length = _FRAME.unpack(head)[0]
        payload = file.read(length) if 0 < length <= MAX_PAYLOAD else b""
    try:
        record = decode_decision(payload)
    except ValueError:
        return None
    value = np.array([record.input_value], dtype=np.float64)
    if len(record.input_check) != 2 * value.shape[1] or len(record.inputs) != value.shape[1]:
        return record.decision_id, []
    wrong = np.not_equal(input_check(value)[0], np.frombuffer(record.input_check, dtype="<u2"))
    return record.decision_id, [record.inputs[i].name for i in np.flatnonzero(wrong).tolist()]


def read_log(directory: Path, noted: NotedDamage) -> Iterator[Logged]:
    """Yield the decisions of a log, some thousand at a time. Raises OSError, pa.ArrowException and ValueError (see `damaged_parquet`)."""
    return read_logged(directory, noted)


def damaged_parquet(directory: Path) -> list[tuple[str, str]]:
    """Return (file, what is wrong) of every Parquet file of decisions that cannot be read, by column where only some cannot."""
    found = []
    for path in sorted(directory.glob("decision-*.parquet")):
        try:
            with open_parquet(path) as file:
                names = list(file.schema_arrow.names)
        except (OSError, pa.ArrowException) as err:
            found.append((path.name, str(err).splitlines()[0]))
            continue
        for name in names:
            try:
                with open_parquet(path) as file:
                    for _ in file.iter_batches(ROW_GROUP_ROWS, columns=[name]):
                        pass
            except (OSError, pa.ArrowException) as err:
                found.append((f"{path.name}: {name}", str(err).splitlines()[0]))
    return found
