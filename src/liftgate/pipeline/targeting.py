"""Targeting: what layers ask of a person, once that is known. Unknown is not in."""

from __future__ import annotations

import numpy as np

from liftgate.bundle.compiled import Bundle
from liftgate.domain.batch import Batch
from liftgate.domain.layer import OUTSIDE


def target(batch: Batch, bundle: Bundle) -> None:
    """Take everyone out of the layers whose condition does not hold for them. The draw is not touched: the condition only narrows it."""
    if not bundle.layer_if:
        return
    now_ms = batch.now_ms.astype(np.float64)
    for index, condition in bundle.layer_if.items():
        holds, _ = condition.evaluate(batch.inputs, now_ms)
        batch.layer_arm[~holds, index] = OUTSIDE
