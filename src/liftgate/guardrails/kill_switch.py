"""The kill switch: what somebody has stopped is not shown, and while nobody knows what is stopped nothing is."""

from __future__ import annotations

import numpy as np

from liftgate.bundle.compiled import Bundle
from liftgate.domain.batch import Batch
from liftgate.domain.reason import Reason
from liftgate.guardrails.base import Tally, Verdict


class KillSwitch:
    """Denies offers that are stopped, by name, by group, or with everything personal. It cannot run in shadow."""

    def __init__(self, bundle: Bundle) -> None:
        self._bundle = bundle
        self.idle = False

    def evaluate(self, batch: Batch) -> Verdict | None:
        """See `Guardrail`."""
        controls = batch.controls
        if controls.known and controls.stopped is None:
            return None
        tally = Tally(batch, self._bundle)
        if controls.stopped is None:
            tally.object(np.ones(tally.shape, dtype=np.bool_), Reason.CONTROLS_UNKNOWN)
        else:
            tally.object(np.broadcast_to(controls.stopped, tally.shape), Reason.STOPPED)
        return tally.verdict()
