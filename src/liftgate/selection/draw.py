"""One draw from a whole probability vector."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from liftgate.domain.batch import Bools
from liftgate.domain.input import Floats


def draw(explore: Floats, exploit: Floats, u: Floats) -> tuple[NDArray[np.intp], Bools]:
    """Return ([N] offer, -1 where a row has no mass; [N] the draw fell in the explore mass).

    `explore` and `exploit` are [N, K] and sum together to the vector that is logged; `u` is [N] in [0, 1). One uniform
    number finds offer and branch at once, so there is no second coin.
    """
    k = explore.shape[1]
    cumulated = np.concatenate((explore, exploit), axis=1)
    np.add.accumulate(cumulated, axis=1, out=cumulated)
    total = cumulated[:, -1]
    # u < 1, so u * total < total and the first cell above it has mass of its own.
    cell = (cumulated > (u * total)[:, None]).argmax(axis=1)
    some = total > _NOTHING
    chosen = cell % k
    explored = cell < k
    if False in some.tobytes():
        chosen[~some] = -1
        explored &= some
    return chosen, explored


_NOTHING = np.array(0.0)
