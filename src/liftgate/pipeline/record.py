"""Record: one durable write for the batch, before any reply."""

from __future__ import annotations

from liftgate.domain.errors import LogUnavailable
from liftgate.domain.reason import Reason
from liftgate.pipeline.stages import Stage
from liftgate.pipeline.walk import Walk


async def record(walk: Walk) -> bool:
    """Write what was decided and release the answers. Return True when rows must be decided again without the log."""
    batch, ports = walk.batch, walk.ports
    decided = [row for row, result in enumerate(walk.results) if result is None]
    # A dry run has no record.
    written = [row for row in decided if walk.records[row]]
    try:
        if written:
            await ports.log.append([walk.records[row] for row in written])
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
            walk.unsettled = written
        decided = [row for row in decided if row not in written]
    for row in decided:
        walk.results[row] = walk.responses[row]
    return bool(walk.unsettled)
