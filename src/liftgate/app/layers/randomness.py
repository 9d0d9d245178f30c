"""Whether layers draw as they say: shares, evenness and independence over many ids, by chi-square, corrected for the number of looks."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import NDArray
from scipy.stats import chi2

from liftgate.bundle.compiled import Bundle
from liftgate.domain.bucketing import SPACE, Salt
from liftgate.domain.layer import OUTSIDE, Layer
from liftgate.selection.layers import Layers

ALPHA = 1e-4
"""How often all looks together may object to layers that are as they should be."""
CELLS, SIDE = 100, 20
_CHUNK = 20_000
Buckets = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class ArmCount:
    """One arm: what it should have and what it has."""

    arm: str
    """`outside`: in none."""
    expected: float
    """Part of all units, 0..1."""
    counted: float


@dataclass(frozen=True, slots=True)
class LayerCount:
    """One layer over all ids."""

    layer: str
    arms: tuple[ArmCount, ...]
    p_shares: float
    """Of shares this far from the expected ones, had the draw been right."""
    p_even: float
    """Of buckets this uneven over `CELLS` cells, had they been even."""


@dataclass(frozen=True, slots=True)
class PairCount:
    """Two draws, each a layer's or a namespace's, in one table of `SIDE` x `SIDE` cells."""

    one: str
    other: str
    p: float


@dataclass(frozen=True, slots=True)
class Randomness:
    """What counting found."""

    ids: int
    layers: tuple[LayerCount, ...]
    pairs: tuple[PairCount, ...]
    limit: float
    """p below it is an objection: `ALPHA` over the number of looks."""

    @property
    def objections(self) -> tuple[str, ...]:
        """What is not as it should be, in words; empty: everything is."""
        said = [
            f"layer {one.layer}: shares are not as declared (p = {one.p_shares:.2g})" for one in self.layers if one.p_shares < self.limit
        ]
        said += [f"layer {one.layer}: buckets are uneven (p = {one.p_even:.2g})" for one in self.layers if one.p_even < self.limit]
        said += [f"{pair.one} and {pair.other}: not independent (p = {pair.p:.2g})" for pair in self.pairs if pair.p < self.limit]
        return tuple(said)


def count(bundle: Bundle, ids: int, progress: Callable[[int], None]) -> Randomness:
    """Return what `ids` made-up units come to in every layer. `progress` is told how many ids were hashed since it was last told."""
    each = Layers(bundle.layers).each
    salts = {f"layer {one.layer.name}": Salt(*one.layer.salt_parts) for one in each}
    salts |= {f"namespace {one.layer.exclusive.namespace}": _namespace(one.layer) for one in each if one.layer.exclusive}
    buckets = {name: np.empty(ids, dtype=np.int64) for name in salts}
    for start in range(0, ids, _CHUNK):
        units = [f"unit-{i}" for i in range(start, min(start + _CHUNK, ids))]
        for name, salt in salts.items():
            buckets[name][start : start + len(units)] = np.fromiter(map(salt.bucket, units), np.int64, len(units))
        progress(len(units))
    layers = tuple(_of_layer(one.layer, buckets) for one in each)
    cells = {name: column * SIDE // SPACE for name, column in buckets.items()}
    pairs = tuple(PairCount(one, other, _independent(cells[one], cells[other])) for one, other in combinations(cells, 2))
    return Randomness(ids, layers, pairs, ALPHA / max(2 * len(layers) + len(pairs), 1))


def _namespace(layer: Layer) -> Salt:
    if layer.exclusive is None:
        raise AssertionError("asked of layers with a namespace alone")
    return Salt("exclusive", layer.exclusive.namespace)


def _of_layer(layer: Layer, buckets: dict[str, Buckets]) -> LayerCount:
    column = buckets[f"layer {layer.name}"]
    arm = np.full(len(column), OUTSIDE)
    for i, one in enumerate(layer.arms):
        arm[(column >= one.start) & (column < one.start + one.used)] = i
    if layer.exclusive is not None:
        part = buckets[f"namespace {layer.exclusive.namespace}"]
        arm[(part < layer.exclusive.start) | (part >= layer.exclusive.end)] = OUTSIDE
    counted = np.bincount(arm + 1, minlength=len(layer.arms) + 1)
    shares = [layer.share_of(i) for i in range(len(layer.arms))]
    expected = np.array([max(1.0 - sum(shares), 0.0), *shares])
    arms = [ArmCount(one.name, expected[i + 1], counted[i + 1] / len(column)) for i, one in enumerate(layer.arms)]
    outside = ArmCount("outside", float(expected[0]), counted[0] / len(column))
    even = _p(np.bincount(column * CELLS // SPACE, minlength=CELLS), np.full(CELLS, 1 / CELLS))
    return LayerCount(layer.name, (*arms, outside), _p(counted, np.where(expected < 1e-9, 0.0, expected)), even)


def _independent(one: Buckets, other: Buckets) -> float:
    return _p(np.bincount(one * SIDE + other, minlength=SIDE * SIDE), np.full(SIDE * SIDE, 1 / SIDE**2))


def _p(counted: NDArray[np.int64], shares: NDArray[np.float64]) -> float:
    """Return the chi-square p-value of counts against shares that sum to 1; 0 where somebody is in a cell that has no share."""
    there = shares > 0
    if counted[~there].any():
        return 0.0
    expected = shares[there] * counted.sum()
    if len(expected) < 2:
        return 1.0
    return float(chi2.sf(((counted[there] - expected) ** 2 / expected).sum(), len(expected) - 1))
