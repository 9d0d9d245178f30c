"""Situations whose slates are drawn many times over: every placement and arm of the bundle of policies, with what people may differ in."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from liftgate.bundle.load import load_bundle
from liftgate.domain.batch import Batch
from liftgate.domain.bucketing import Salt
from liftgate.domain.layer import OUTSIDE
from liftgate.domain.request import DecideRequest
from liftgate.pipeline.choose import choose
from liftgate.pipeline.live import Live
from liftgate.selection.slate import Slates
from tests.pipeline.workbench import BUNDLES

DRAWS = 100_000
SITUATIONS = 3
PLACEMENTS = ("greedy", "floored", "softmax", "relative", "thompson", "uniform", "fixed", "grouped")
ARMS = (("greedy", "control", "random_allowed"), ("greedy", "control", "random_propensity"), ("uniform", "trial", "softmax"))


@dataclass(frozen=True)
class Fixture:
    """One placement, or one arm there, in one situation: who is allowed what and how likely outcomes are."""

    placement: str
    situation: int
    layer: str = ""
    arm: str = ""
    capped: bool = False
    """Two counters are shared by offers and nearly full."""

    @property
    def name(self) -> str:
        """For people."""
        return "-".join(part for part in (self.placement, self.layer, self.arm, "capped" * self.capped, str(self.situation)) if part)


FIXTURES = (
    *(Fixture(place, i) for place in PLACEMENTS for i in range(SITUATIONS)),
    *(Fixture(place, i, layer, arm) for place, layer, arm in ARMS for i in range(SITUATIONS)),
    *(Fixture(place, i, capped=True) for place in ("floored", "softmax", "grouped") for i in range(2)),
)


@cache
def live() -> Live:
    """The bundle of policies; it has no models."""
    return Live(load_bundle(BUNDLES / "policies"), cast(Any, None))


@dataclass(frozen=True)
class Drawn:
    """Slates of N people who differ in their draws alone."""

    slates: Slates
    marginal: NDArray[np.float64]
    """[S, K], the same for all."""
    allowed: NDArray[np.bool_]
    """[K]"""


@cache
def _uniform(slot: int, n: int) -> NDArray[np.float64]:
    """Hashed uniform numbers of n requests. All fixtures have the same: each is held to its own vectors."""
    salt = Salt("fixture", str(slot))
    return np.array([salt.uniform(f"request-{i}") for i in range(n)])


def draw(fixture: Fixture, n: int = DRAWS) -> Drawn:
    """Draw n slates through the code that decides, from hashed uniform numbers."""
    world = live()
    slots = world.bundle.placements[world.bundle.placement_index[fixture.placement]].slots
    draws = np.column_stack([_uniform(slot, n) for slot in range(slots)])
    one = _choose(fixture, draws[:1], with_marginals=True)
    marginal = one.probability[:, 0] if one.marginal is None else one.marginal[:, 0]
    return Drawn(_choose(fixture, draws, with_marginals=False), marginal, _allowed(fixture))


def _allowed(fixture: Fixture) -> NDArray[np.bool_]:
    bundle = live().bundle
    placement = bundle.placement_index[fixture.placement]
    g = np.random.default_rng([fixture.situation, placement])
    allowed = np.array(bundle.candidates[placement])
    _, _, *rest = np.flatnonzero(allowed).tolist()
    if fixture.situation:
        # Two stay at least: otherwise there is nothing to draw.
        allowed[rest] = g.random(len(rest)) < 0.85
    if fixture.situation == 2:
        allowed[rest[-1]] = False
    return allowed


def _choose(fixture: Fixture, draws: NDArray[np.float64], *, with_marginals: bool) -> Slates:
    world, n = live(), len(draws)
    bundle = world.bundle
    k = len(bundle.offers)
    placement = bundle.placement_index[fixture.placement]
    request = DecideRequest("r", "p", fixture.placement, draws.shape[1])
    batch = Batch([request] * n, np.zeros(n, dtype=np.int64))
    batch.placement = np.full(n, placement, dtype=np.intp)
    arms = np.full((1, len(bundle.layers)), OUTSIDE, dtype=np.int16)
    if fixture.layer:
        index = next(i for i, layer in enumerate(bundle.layers) if layer.name == fixture.layer)
        arms[0, index] = [arm.name for arm in bundle.layers[index].arms].index(fixture.arm)
    batch.layer_arm = np.repeat(arms, n, axis=0)
    world.variants.place(batch)
    if world.variants.values_vary:
        batch.value = world.variants.value[batch.variant]
    g = np.random.default_rng([7, fixture.situation, placement])
    propensity = g.choice([0.05, 0.1, 0.2, 0.4], k)
    batch.propensity = np.tile(propensity, (n, 1))
    batch.draws = draws
    batch.cap_room = np.zeros((n, 0), dtype=np.int64)
    allowed = np.tile(_allowed(fixture), (n, 1))
    counts = np.full(n, draws.shape[1], dtype=np.intp)
    if not fixture.capped:
        return choose(batch, world, allowed, counts, with_marginals=with_marginals)
    members = np.array([[1, i % 2] for i in range(k)], dtype=np.int64)
    batch.cap_room = np.tile(np.array([2, 1]), (n, 1))
    bounded = Live(bundle, world.models)
    counters = bounded.caps
    counters.spends, counters.holds = members, members
    return choose(batch, bounded, allowed, counts, with_marginals=with_marginals)
