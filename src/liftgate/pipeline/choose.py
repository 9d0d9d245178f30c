"""Choose: what offers are worth, and the slates drawn from that. Pure; a live walk and a replay both come through here."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from liftgate.domain.batch import Batch, Bools
from liftgate.domain.input import Floats
from liftgate.pipeline.live import Live
from liftgate.pipeline.worth import expected, left_out
from liftgate.selection.policy import Worth
from liftgate.selection.slate import Slates, fill
from liftgate.selection.value import expected_value


def choose(
    batch: Batch,
    live: Live,
    allowed: Bools,
    slot_count: NDArray[np.intp] | Sequence[int],
    *,
    capped: bool = True,
    taken: NDArray[np.intp] | None = None,
    with_marginals: bool = True,
) -> Slates:
    """Return the slates drawn with `batch.draws` among the `allowed` [N, K] offers, up to `slot_count` [N] slots each.

    What is not worth showing, or of a lower tier, is left out and noted in `batch.not_shown`. With `capped` False earlier slots use up no
    cap (a replay does not know contact history); with `with_marginals` False slates come without marginals. `taken`: see `fill`.
    """
    worth = expected(batch, live, batch.propensity)
    if live.narrows:
        batch.not_shown = left_out(batch, live, batch.propensity, worth, allowed)
        allowed = allowed & (batch.not_shown == 0)
    policies = live.variants.policies
    parts = _parts(batch, live, worth) if policies.by_part else Worth(worth)
    limits = live.slate_limits.of(batch, capped=capped) if batch.draws.shape[1] > 1 else None
    return fill(parts, allowed, policies, batch.variant, slot_count, batch.draws, limits, taken, with_marginals=with_marginals)


def _parts(batch: Batch, live: Live, worth: Floats) -> Worth:
    """Return worth with what it is made of."""
    value = live.bundle.value if batch.value is None else batch.value
    certain = expected_value(np.ones(worth.shape), value, batch.context_weight, batch.lever)
    seen = live.bundle.worth.observations
    observations = None if seen is None else np.broadcast_to(seen, worth.shape)
    return Worth(worth, certain, batch.propensity if batch.smoothed is None else batch.smoothed, batch.untreated, observations)
