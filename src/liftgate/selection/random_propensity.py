"""The control that knows nothing of people: the highest worth when every propensity is a random number, exactly.

With weights w (what a certain response is worth) and propensities u_j independent and uniform in [0, 1), offer k is the highest with
probability P(k) = integral over u in [0, 1] of the product over j != k of min(1, w_k u / w_j). With the weights in ascending order the
integrand is a monomial between two neighbours, so P is a running sum: P(i) = P(i-1) + (w_i^m - w_(i-1)^m) / (m w_i ... w_n) with
m = n - i + 1.
"""

from __future__ import annotations

import numpy as np

from liftgate.domain.batch import Bools
from liftgate.domain.input import Floats

_SMALLEST = 1e-300


def random_propensity(weight: Floats, allowed: Bools) -> Floats:
    """Return [N, K] P(offer's weight x its random propensity is the highest), 0 where not allowed; rows sum to 1 or 0.

    `weight` is [N, K], above 0 where allowed.
    """
    n, k = allowed.shape
    # Those that are not allowed come first, in ascending order with the rest.
    logs = np.where(allowed, np.log(np.maximum(weight, _SMALLEST)), -np.inf)
    order = np.argsort(logs, axis=1, kind="stable")
    ordered = np.take_along_axis(logs, order, axis=1)
    here = np.isfinite(ordered)
    filled = np.where(here, ordered, 0.0)
    # Sums from the end: of the logarithms of each offer's own weight and all larger ones.
    larger = np.add.accumulate(filled[:, ::-1], axis=1)[:, ::-1]
    power = np.arange(k, 0, -1, dtype=np.float64)
    before = np.full((n, k), -np.inf)
    before[:, 1:] = ordered[:, :-1]
    # A weight's power over the product of all that are no smaller is 1 at most: nothing overflows.
    with np.errstate(invalid="ignore"):
        grown = -np.expm1(power * (before - filled))
    terms = np.where(here, np.exp(power * filled - larger) / power * np.where(here, grown, 0.0), 0.0)
    out = np.zeros((n, k))
    np.put_along_axis(out, order, np.where(here, np.add.accumulate(terms, axis=1), 0.0), axis=1)
    return out
