"""Features at every logged decision, from the event log alone, as Parquet."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from liftgate.adapters.logged_events import logged_events
from liftgate.bundle.compiled import Bundle
from liftgate.domain.input import InputType
from liftgate.record.parquet import read_batches
from liftgate.signals.offline import values_at
from liftgate.signals.plan import FeaturePlan


def write(out: Path, log: Path, bundle: Bundle, plan: FeaturePlan) -> int:
    """Write decision_id, person_pseudonym, decided_at_ms and every feature; return how many rows. Raises OSError."""
    columns = ["decision_id", "person_pseudonym", "decided_at_ms"]
    rows: list[dict[str, Any]] = [row for batch in read_batches(log, "decision", columns) for row in batch.to_pylist()]
    questions = [(row["person_pseudonym"].hex(), row["decided_at_ms"]) for row in rows]
    asked = {person for person, _ in questions}
    found = values_at(plan, (event for event in logged_events(log) if event.person_id in asked), questions)
    table: dict[str, Any] = {name: [row[name] for row in rows] for name in columns}
    for d, definition in enumerate(plan.definitions):
        column, values = definition.input, found.value[:, d]
        name = column.name.removeprefix("profile.")
        if column.type in (InputType.INT, InputType.FLOAT):
            numbers = pa.array(values, mask=np.isnan(values))
            table[name] = numbers.cast(pa.int64()) if column.type is InputType.INT else numbers
        else:
            table[name] = [column.decode(number) for number in values.tolist()]
    pq.write_table(pa.table(table), out, compression="zstd")
    return len(rows)
