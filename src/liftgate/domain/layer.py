"""Layers: independent randomisations, each a pure function of its salt and of one declared unit."""

from __future__ import annotations

from dataclasses import dataclass
from math import inf
from typing import Literal

from liftgate.domain.bucketing import SPACE
from liftgate.domain.offer import Indices

LayerKind = Literal["holdout", "ablation", "experiment", "model_control"]
UnitKind = Literal["person", "account", "session", "visitor"]

HOLDOUT, TREATMENT, CONTROL = "holdout", "treatment", "control"
"""Names of the arms that a layer has without naming them: `holdout` and `treatment` of a holdout, `control` and `treatment` of a
model_control, `treatment` of an ablation (who is in none of its arms)."""
OUTSIDE = -1
"""In `Batch.layer_arm`: not in the layer."""


@dataclass(frozen=True, slots=True)
class LayerArm:
    """One arm: it owns a fixed range of buckets and uses the first part of it, so that a ramp moves nobody who is in."""

    name: str
    start: int
    """First bucket of its range, 0..`bucketing.SPACE`."""
    width: int
    """Buckets that it owns."""
    used: int
    """Buckets in use, from `start` on; 0..width."""


@dataclass(frozen=True, slots=True)
class Exclusive:
    """A part of a namespace: layers of one namespace with parts that do not overlap never share a unit."""

    namespace: str
    start: int
    """First bucket under the namespace's own salt, 0..`bucketing.SPACE`."""
    end: int
    """First bucket after the last."""


@dataclass(frozen=True, slots=True)
class Layer:
    """One independent randomisation. `selection.layers.Layers` evaluates it; what arms change stands in the bundle."""

    name: str
    kind: LayerKind
    salt: str
    arms: tuple[LayerArm, ...]
    """A holdout's first arm is the one held out; an index into this is what `Batch.layer_arm` holds."""
    unit: UnitKind = "person"
    """What is randomised. A request that does not name it is not in the layer."""
    phase: int = 1
    """Another phase is another salt: everybody is drawn afresh."""
    coverage: float = 1.0
    """Part of each arm's range that is in use, 0..1."""
    share: float = 0.0
    """Of a holdout or model_control, of all units, 0..1."""
    answer: Literal["none", "default_offer", "next_best"] = "none"
    """What who is held out is answered."""
    starts_at_ms: float = -inf
    ends_at_ms: float = inf
    """Nobody is in it before the start, nor from the end on."""
    placements: tuple[int, ...] | None = None
    """Indices of the placements that it concerns; None: all."""
    channels: tuple[str, ...] | None = None
    """Channels of requests that it concerns; None: all."""
    exclusive: Exclusive | None = None
    withholds: Indices | None = None
    """Of a holdout of programmes or offers: indices of what is withheld; None: everything."""
    owner: str = ""
    hypothesis: str = ""
    metric: str = ""
    n_star: int = 0
    """Sample size at which the analysis is tightest, frozen when the layer starts; 0: not stated."""
    source: str = ""
    """File and line where it is defined."""

    @property
    def boundary(self) -> int:
        """Buckets held out, counted from 0; 0 for layers that hold nobody out."""
        return self.arms[0].used if self.kind == "holdout" else 0

    @property
    def universal(self) -> bool:
        """Holds out of everything."""
        return self.kind == "holdout" and self.withholds is None

    @property
    def salt_parts(self) -> tuple[str, ...]:
        """Parts of its `bucketing.Salt`. The first phase is not written, so that layers older than phases stay what they were."""
        return ("layer", self.salt) if self.phase == 1 else ("layer", self.salt, str(self.phase))

    @property
    def draw(self) -> tuple[object, ...]:
        """What says who is drawn where, but for shares: layers with equal draws give a unit the same bucket at the same moments."""
        part = None if self.exclusive is None else (self.exclusive.namespace, self.exclusive.start, self.exclusive.end)
        return self.kind, self.unit, self.salt_parts, part, self.starts_at_ms, self.ends_at_ms

    @property
    def space(self) -> float:
        """Part of all units that its arms divide among them, 0..1: below 1 for a part of an exclusive namespace."""
        return 1.0 if self.exclusive is None else (self.exclusive.end - self.exclusive.start) / SPACE

    def share_of(self, arm: int) -> float:
        """Return the part of all units that an arm has now, 0..1."""
        return self.arms[arm].used / SPACE * self.space


def first_and_rest(first: str, boundary: int) -> tuple[LayerArm, ...]:
    """Return two arms: the first grows from bucket 0 up to the boundary, `treatment` has the rest."""
    return LayerArm(first, 0, boundary, boundary), LayerArm(TREATMENT, boundary, SPACE - boundary, SPACE - boundary)


def in_use(width: int, coverage: float) -> int:
    """Return how many buckets of a range are in use at a coverage: never fewer at a larger one."""
    return min(width, round(width * coverage))
