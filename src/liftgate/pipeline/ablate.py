"""Ablation: factors of worth that do not count for rows in an ablation arm. Pure.

What is worth showing at all is still judged by all factors, in every arm alike: an ablation takes out how offers are ranked, and a
comparison of its arms is not one of people who were shown something with people who were not.
"""

from __future__ import annotations

import numpy as np

from liftgate.domain.batch import Batch, Bools
from liftgate.domain.input import Floats
from liftgate.pipeline.live import Live


def ablate(batch: Batch, live: Live) -> None:
    """Put 1 into value, context_weight and lever where they do not count, and keep what they were. Once, after they are filled in."""
    variants, value = live.variants, live.bundle.value if batch.value is None else batch.value
    batch.in_full = (value, batch.context_weight, batch.lever)
    batch.value = _without(np.broadcast_to(value, batch.allowed.shape), variants.valueless[batch.variant])
    if batch.context_weight is not None:
        batch.context_weight = _without(batch.context_weight, variants.weightless[batch.variant])
    if batch.lever is not None:
        batch.lever = _without(batch.lever, variants.leverless[batch.variant])


def _without(factor: Floats, rows: Bools) -> Floats:
    return np.where(rows[:, None], 1.0, factor) if rows.any() else factor
