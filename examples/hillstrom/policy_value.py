"""What a policy would have brought, from a campaign that was randomised: inverse propensity weighting, and nothing else.

Each customer was sent one of K offers with known chances. The policy gives each offer a probability for each customer. The
customer's outcome counts with the ratio of the two, so that the campaign stands in for the policy. Pure functions.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import sqrt

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Z_95 = 1.959963984540054
MINIMUM_ESS = 100.0
"""Fewer effective customers than this and no interval is honest."""


class Refused(ValueError):
    """The data cannot carry an estimate. The message says why."""


@dataclass(frozen=True, slots=True)
class Estimate:
    """A value per customer with its standard error and 95 % interval."""

    value: float
    standard_error: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Support:
    """How far the campaign carries the policy."""

    customers: int
    effective_customers: float
    """Kish's effective sample size: (sum of weights) squared over the sum of their squares."""
    mean_weight: float
    """1 but for chance, when the policy's and the campaign's probabilities are what they claim to be."""
    mean_weight_error: float
    """Standard error of the mean weight."""
    largest_weight: float


def weights(policy: Floats, sent: NDArray[np.intp], chance: Floats) -> Floats:
    """Return [N] importance weights.

    `policy` is [N, K], each row summing to 1; `sent` is [N], what the campaign sent; `chance` is [K], the campaign's
    probability of each offer. Raises Refused on probabilities that are none and on offers that the campaign never sent.
    """
    if policy.shape != (len(sent), len(chance)) or not len(sent):
        raise Refused(f"probabilities of shape {policy.shape} for {len(sent)} customers and {len(chance)} offers")
    if not (np.isfinite(policy).all() and (policy >= 0).all() and np.allclose(policy.sum(axis=1), 1.0, rtol=0, atol=1e-9)):
        raise Refused("a customer's probabilities are no distribution over the offers")
    if not (np.isfinite(chance).all() and (chance >= 0).all() and abs(float(chance.sum()) - 1.0) < 1e-9):
        raise Refused("the campaign's chances are no distribution over the offers")
    if (policy[:, chance == 0] > 0).any() or (chance[sent] == 0).any():
        raise Refused("the policy uses an offer that the campaign never sent: nothing is known about it")
    found: Floats = policy[np.arange(len(sent)), sent] / chance[sent]
    return found


def support(weight: Floats) -> Support:
    """Return how far the weights carry. Raises Refused when too few customers carry them."""
    squares = float((weight**2).sum())
    effective = float(weight.sum()) ** 2 / squares if squares else 0.0
    if effective < MINIMUM_ESS:
        raise Refused(f"only {effective:.0f} effective customers of {len(weight)}; at least {MINIMUM_ESS:.0f} are needed")
    error = float(weight.std(ddof=1)) / sqrt(len(weight))
    return Support(len(weight), effective, float(weight.mean()), error, float(weight.max()))


def _estimate(value: float, influence: Floats) -> Estimate:
    """Return the normal interval; `influence` is [N], what each customer moves the estimate by, times N."""
    error = float(influence.std(ddof=1)) / sqrt(len(influence))
    return Estimate(value, error, value - Z_95 * error, value + Z_95 * error)


def ips(weight: Floats, outcome: Floats) -> Estimate:
    """Return the mean of weight x outcome: unbiased where the chances are known."""
    terms = weight * outcome
    return _estimate(float(terms.mean()), terms)


def snips(weight: Floats, outcome: Floats) -> Estimate:
    """Return the weighted mean: the same, free of how many customers happened to carry weight; slightly biased, less noisy."""
    value = float((weight * outcome).sum() / weight.sum())
    return _estimate(value, weight * (outcome - value) / weight.mean())


def difference(weight: Floats, other: Floats, outcome: Floats) -> Estimate:
    """Return `snips(weight)` minus `snips(other)` on the same customers, with what the two share taken out of the error."""
    first, second = snips(weight, outcome).value, snips(other, outcome).value
    influence = weight * (outcome - first) / weight.mean() - other * (outcome - second) / other.mean()
    return _estimate(first - second, influence)


def always(offer: int, customers: int, offers: int) -> Floats:
    """Return [N, K] probabilities of the policy that sends everyone one offer."""
    found = np.zeros((customers, offers))
    found[:, offer] = 1.0
    return found
