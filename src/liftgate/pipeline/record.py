"""Record: one durable write for the batch, before any reply."""

from __future__ import annotations

from collections.abc import Sequence

from liftgate.domain.errors import LogUnavailable
from liftgate.domain.reason import Reason
from liftgate.pipeline.stages import Stage
from liftgate.pipeline.walk import Walk


async def record(walk: Walk) -> bool:
    """Write what was decided and release the answers. Return True when rows must be decided again without the log."""
    batch, ports = walk.batch, walk.ports
    decided: Sequence[int] = range(batch.n)
    written, records, alike = decided, walk.records, not any(walk.results) and all(walk.records)
    if not alike:
        decided = [row for row, result in enumerate(walk.results) if result is None]
        # A dry run has no record.
        written = [row for row in decided if walk.records[row]]
        records = [walk.records[row] for row in written]
    try:
        if records:
            await ports.log.append(records)
    except LogUnavailable as error:
        ports.observer.fell_back(Stage.RECORD, type(error).__name__, [batch.requests[row] for row in written])
        made = {row: walk.claims.pop(row) for row in written if row in walk.claims}
        if ports.on_log_failure == "refuse":
            # Their claims stay pending: a retry finds the record there and writes it.
            for row in written:
                walk.results[row] = error
        else:
            walk.unsure |= made
            for row in written:
                walk.forced[row] = Reason.LOG_UNAVAILABLE
            walk.unsettled = list(written)
        alike, decided = False, [row for row in decided if row not in written]
    if alike:
        walk.results[:] = walk.responses
    else:
        for row in decided:
            walk.results[row] = walk.responses[row]
    return bool(walk.unsettled)
