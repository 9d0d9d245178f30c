"""Arbitration: what an offer is expected to be worth."""

from __future__ import annotations

from liftgate.domain.input import Floats


def expected_value(propensity: Floats, value: Floats) -> Floats:
    """Return [N, K] propensity x value, in the bundle's currency; NaN propensities stay NaN."""
    return propensity * value
