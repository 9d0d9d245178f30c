"""Choose: what offers are worth, and the slates drawn from that. Pure; a live walk and a replay both come through here."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from liftgate.domain.batch import Batch, Bools
from liftgate.pipeline.live import Live
from liftgate.pipeline.worth import expected, left_out
from liftgate.selection.slate import Slates, fill


def choose(batch: Batch, live: Live, allowed: Bools, slot_count: NDArray[np.intp], *, capped: bool = True) -> Slates:
    """Return the slates drawn with `batch.draws` among the `allowed` [N, K] offers, up to `slot_count` [N] slots each.

    What is not worth showing, or of a lower tier, is left out and noted in `batch.not_shown`. With `capped` False earlier slots use up no
    cap (a replay does not know contact history).
    """
    worth = expected(batch, live, batch.propensity)
    if live.narrows:
        batch.not_shown = left_out(batch, live, batch.propensity, worth, allowed)
        allowed = allowed & (batch.not_shown == 0)
    if capped:
        room, spends, holds = batch.cap_room, live.caps.spends, live.caps.holds
    else:
        room, spends = np.zeros((batch.n, 0), dtype=np.int64), np.zeros((len(live.bundle.offers), 0), dtype=np.int64)
        holds = spends
    return fill(worth, allowed, live.variants.epsilon[batch.variant], slot_count, batch.draws, room, spends, holds)
