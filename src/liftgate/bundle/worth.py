"""What offers are worth beside propensity and value, compiled: levers and weights as columns, priors, tiers, thresholds.

Whatever a bundle does not use is None, so that it costs nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

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
_FEW_JUDGEMENTS = 10
"""Up to so many pairs of a person and a condition are judged one by one: there plain numbers cost less than columns."""


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


@dataclass(frozen=True, slots=True, eq=False)
class Multiplier:
    """A factor of worth, above 0: what always counts, and what counts sometimes."""

    constant: Floats
    """[K]"""
    switches: tuple[Switch, ...] = ()
    _dates: tuple[Floats, Floats] | None = field(init=False)
    """[switches, 1] first moments and first moments after the last; None: no switch has dates."""
    _layers: tuple[tuple[Indices, Floats], ...] = field(init=False)
    """[K] the offer's first switch and its factor, its second ...; one past the last switch: none, which never is on."""

    def __post_init__(self) -> None:
        starts, ends = (np.array([[moment(one)] for one in self.switches]) for moment in (_starts_at_ms, _until_ms))
        dated = any(np.isfinite(moments).any() for moments in (starts, ends))
        object.__setattr__(self, "_dates", (starts, ends) if dated else None)
        object.__setattr__(self, "_layers", tuple(_layers(self.switches, len(self.constant))))

    def columns(self, true: Bools, now_ms: Floats) -> Floats:
        """Return [N, K] factors from `true` [conditions + 1, N], the last row all set; do not write to them."""
        if not self.switches:
            return np.broadcast_to(self.constant, (len(now_ms), len(self.constant)))
        on = np.zeros((len(self.switches) + 1, len(now_ms)), dtype=np.bool_)
        on[:-1] = true[[switch.condition for switch in self.switches]]
        if self._dates is not None:
            starts, ends = self._dates
            on[:-1] &= (now_ms >= starts) & (now_ms < ends)
        found: Floats = self.constant
        for switch, factor in self._layers:
            found = found * np.where(on[switch].T, factor, 1.0)
        return found


def _starts_at_ms(switch: Switch) -> float:
    return switch.starts_at_ms


def _until_ms(switch: Switch) -> float:
    return switch.until_ms


def _layers(switches: tuple[Switch, ...], offers: int) -> Iterator[tuple[Indices, Floats]]:
    """Yield, by how manyeth switch of its offer, which one it is and its factor, [offers] each."""
    of: list[list[tuple[int, float]]] = [[] for _ in range(offers)]
    for s, switch in enumerate(switches):
        for k, factor in zip(switch.offers.tolist(), switch.factor.tolist(), strict=True):
            of[k].append((s, factor))
    for depth in range(max(map(len, of), default=0)):
        some = [one[depth] if depth < len(one) else (len(switches), 1.0) for one in of]
        yield np.array([s for s, _ in some], dtype=np.intp), np.array([factor for _, factor in some], dtype=np.float64)


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
    observations: Floats | None = None
    """[K] for Thompson sampling: how many trials the response is known from, NaN: not declared; None: of no offer."""
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
        """Return [conditions + 1, N]: true of [N, I] inputs. What cannot be told does not hold; the last row, no condition, is set."""
        conditions = self.conditions
        true = np.ones((len(conditions) + 1, len(inputs)), dtype=np.bool_)
        if not conditions:
            return true
        if self.by_row and len(inputs) * len(conditions) <= _FEW_JUDGEMENTS:
            rows = list(zip(inputs.tolist(), now_ms.tolist(), strict=True))
            true[:-1] = [[condition.evaluate_row(*row)[0] for row in rows] for condition in conditions]
        elif self.fused is not None:
            true[:-1] = self.fused.evaluate(inputs, now_ms)[0]
        else:
            for r, condition in enumerate(conditions):
                true[r] = condition.evaluate(inputs, now_ms)[0]
        return true

    @property
    def by_row(self) -> bool:
        """Every condition can be judged person by person."""
        return all(condition.by_row for condition in self.conditions)


def fused(conditions: tuple[ColumnCondition, ...]) -> FusedConditions | None:
    """Return conditions as one program, where they are many enough for that to pay."""
    return FusedConditions(conditions) if len(conditions) > _FEW else None
