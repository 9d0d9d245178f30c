"""What offers are worth beside propensity and value, compiled: levers and weights as columns, priors, tiers, thresholds.

Whatever a bundle does not use is None, so that it costs nothing.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from liftgate.bundle.conditions_fused import FusedConditions
from liftgate.bundle.conditions_program import ColumnCondition
from liftgate.domain.batch import Bools
from liftgate.domain.input import Floats
from liftgate.domain.offer import Indices

NO_MINIMUM = float("-inf")
_FEW = 3
"""Up to so many conditions one after the other are cheaper than together."""


@dataclass(frozen=True, slots=True)
class Switch:
    """A condition, dates or both, and what they multiply while they hold."""

    condition: int
    """Index into `Worth.conditions`, -1: dates alone."""
    starts_at_ms: float
    """-inf: no start."""
    until_ms: float
    """inf: no end."""
    offers: Indices
    factor: Floats
    """[offers], above 0."""


@dataclass(frozen=True, slots=True)
class Multiplier:
    """A factor of worth, above 0: what always counts, and what counts sometimes."""

    constant: Floats
    """[K]"""
    switches: tuple[Switch, ...] = ()

    def columns(self, true: Bools, now_ms: Floats) -> Floats:
        """Return [N, K] factors from `true` [conditions, N]; do not write to them."""
        if not self.switches:
            return np.broadcast_to(self.constant, (len(now_ms), len(self.constant)))
        found = np.tile(self.constant, (len(now_ms), 1))
        for switch in self.switches:
            on = (now_ms >= switch.starts_at_ms) & (now_ms < switch.until_ms)
            if switch.condition >= 0:
                on &= true[switch.condition]
            rows = np.flatnonzero(on)
            if rows.size:
                found[np.ix_(rows, switch.offers)] *= switch.factor
        return found


@dataclass(frozen=True, slots=True)
class Untreated:
    """The models of people who were not shown the offer, for uplift."""

    model: Indices
    """[K] index into the bundle's models, -1: the offer does not rank by uplift."""
    output: Indices
    """[K] index into the model's outputs."""
    base_rate: Floats
    """[K]; 0 where the offer does not rank by uplift."""


@dataclass(frozen=True, slots=True)
class Worth:
    """Everything beside propensity and value that ranks offers, or keeps those out that are not worth showing."""

    conditions: tuple[ColumnCondition, ...] = ()
    """Of levers and weights, each once."""
    fused: FusedConditions | None = None
    """All of them together, where they are many."""
    context_weight: Multiplier | None = None
    lever: Multiplier | None = None
    untreated: Untreated | None = None
    must_help: Bools | None = None
    """[K] ranks by uplift, and is not shown where that is not above 0."""
    prior: Floats | None = None
    """[K] for smoothing, with `credibility`."""
    credibility: Floats | None = None
    """[K] how much the model's propensity counts beside the prior, 0..1; 1 where nothing is smoothed."""
    tier: NDArray[np.intp] | None = None
    """[K] 1: first."""
    minimum_propensity: Floats | None = None
    """[placements], -inf: none."""
    minimum_value: Floats | None = None
    """[placements], -inf: none."""

    @property
    def narrows(self) -> bool:
        """Some allowed offers may be out of the draw."""
        minima = (self.minimum_propensity, self.minimum_value)
        return self.must_help is not None or self.tier is not None or any(one is not None for one in minima)

    def minima(self, placement: int) -> tuple[float, float]:
        """Return the least propensity and the least expected worth that are shown at a placement, -inf: none."""
        least = [NO_MINIMUM if one is None else float(one[placement]) for one in (self.minimum_propensity, self.minimum_value)]
        return least[0], least[1]

    def holding(self, inputs: Floats, now_ms: Floats) -> Bools:
        """Return [conditions, N]: true of [N, I] inputs. A condition that cannot be told does not hold."""
        if self.fused is not None:
            return self.fused.evaluate(inputs, now_ms)[0]
        true = np.zeros((len(self.conditions), len(inputs)), dtype=np.bool_)
        for r, condition in enumerate(self.conditions):
            true[r] = condition.evaluate(inputs, now_ms)[0]
        return true


def fused(conditions: tuple[ColumnCondition, ...]) -> FusedConditions | None:
    """Return conditions as one program, where they are many enough for that to pay."""
    return FusedConditions(conditions) if len(conditions) > _FEW else None
