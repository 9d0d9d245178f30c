"""Arbitration: what an offer is expected to be worth, and which offers are worth showing.

    expected worth = response x context weight x value x lever

The response is the model's propensity, the smoothed one where the bundle smooths, or in uplift mode how much more likely the outcome is
with the offer than without. Weight, value and lever are above 0, so worth has the sign of the response and the ranking never turns around.
Factors may be [N, K], or [K] where they are the same for everyone; None: 1 for every offer. NaN propensities stay NaN.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from liftgate.domain.batch import Bools, Codes
from liftgate.domain.input import Floats
from liftgate.domain.reason import Reason

_BELOW, _LOWER = np.uint8(Reason.BELOW_THRESHOLD), np.uint8(Reason.LOWER_TIER)


def expected_value(response: Floats, value: Floats, context_weight: Floats | None = None, lever: Floats | None = None) -> Floats:
    """Return [N, K] expected worth, in the bundle's currency."""
    worth = response * value
    if context_weight is not None:
        worth = worth * context_weight
    if lever is not None:
        worth = worth * lever
    return worth


def smoothed(propensity: Floats, prior: Floats, credibility: Floats) -> Floats:
    """Return [N, K] prior and model together, weighed by the model's `credibility` [K], 0..1; at 1 the model's propensity, bit for bit."""
    return credibility * propensity + (1.0 - credibility) * prior


def below_threshold(
    response: Floats, expected: Floats, minimum_propensity: Floats | None, minimum_value: Floats | None, must_help: Bools | None
) -> Bools:
    """Return [N, K]: not worth showing.

    `minimum_propensity` and `minimum_value` [N], -inf: none; what just reaches them is worth showing. `must_help` [K]: only where the
    response is above 0.
    """
    below = np.zeros(expected.shape, dtype=np.bool_)
    if minimum_propensity is not None:
        below |= response < minimum_propensity[:, None]
    if minimum_value is not None:
        below |= expected < minimum_value[:, None]
    if must_help is not None:
        below |= (response <= 0.0) & must_help
    return below


def lower_tier(tier: NDArray[np.intp], allowed: Bools) -> Bools:
    """Return [N, K]: allowed, and another allowed offer is of a higher priority: a smaller `tier` [K]."""
    tiers = np.where(allowed, tier, np.iinfo(np.intp).max)
    lower: Bools = allowed & (tiers > tiers.min(axis=1, keepdims=True, initial=np.iinfo(np.intp).max))
    return lower


def not_shown(below: Bools | None, tier: NDArray[np.intp] | None, allowed: Bools) -> Codes:
    """Return [N, K] why an allowed offer is out of the draw: BELOW_THRESHOLD, else LOWER_TIER; 0 where it is in or was not allowed.

    Thresholds come first: an offer that is not worth showing keeps nobody of a lower tier waiting.
    """
    reason = np.zeros(allowed.shape, dtype=np.uint8)
    if below is not None:
        below = below & allowed
        reason[below] = _BELOW
        allowed = allowed & ~below
    if tier is not None:
        reason[lower_tier(tier, allowed)] = _LOWER
    return reason
