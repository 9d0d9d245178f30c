"""Layers, evaluated: salted, stable, from one declared unit alone, before anything else is known. Nothing is looked up and kept."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterable, Mapping, Sequence, Set
from operator import attrgetter
from typing import get_args

import numpy as np
from numpy.typing import NDArray

from liftgate.domain.batch import Bools
from liftgate.domain.bucketing import SPACE, Salt, columns_of, prefixed
from liftgate.domain.layer import OUTSIDE, Layer, UnitKind
from liftgate.domain.request import DecideRequest

Arms = NDArray[np.int16]
"""Indices into a layer's arms, -1 not in the layer."""

UNIT: dict[UnitKind, Callable[[DecideRequest], str]] = {kind: attrgetter(f"{kind}_id") for kind in get_args(UnitKind)}
"""How a request names each kind of unit; empty: it does not."""
FEW_ARMS = 12
"""Up to so many arms are found one by one: there that costs less than columns."""
_CHANNEL = attrgetter("context.channel")
_FIRST = np.array(0, dtype=np.int16)


class Assigner:
    """One layer, salted once at load."""

    __slots__ = ("_namespace", "_range", "_salt", "always", "arm_of", "dated", "edges", "layer", "plain", "unit_of")

    def __init__(self, layer: Layer) -> None:
        self.layer, self.unit_of = layer, UNIT[layer.unit]
        self._salt = Salt(*layer.salt_parts)
        self._namespace = Salt("exclusive", layer.exclusive.namespace) if layer.exclusive else None
        self._range = (layer.exclusive.start, layer.exclusive.end) if layer.exclusive else (0, SPACE)
        ends = sorted((arm.start, arm.start + arm.used, index) for index, arm in enumerate(layer.arms) if arm.used)
        self.edges: list[int] = []
        self.arm_of: list[int] = [OUTSIDE]
        """Arm between each edge and the next."""
        for start, end, index in ends:
            if self.edges and self.edges[-1] == start:
                self.arm_of[-1] = index
            else:
                self.edges.append(start)
                self.arm_of.append(index)
            self.edges.append(end)
            self.arm_of.append(OUTSIDE)
        self.dated = layer.starts_at_ms > -np.inf or layer.ends_at_ms < np.inf
        self.plain = self._namespace is None
        """Shares no namespace: the arm is where the bucket stands among the edges, and nothing else."""
        self.always = not self.dated and layer.placements is None and layer.channels is None
        """Concerns every request."""

    def bucket(self, unit: str) -> int:
        """Return where the unit stands in the arms' ranges, 0..SPACE."""
        return self._salt.bucket(unit)

    def namespace_bucket(self, unit: str) -> int:
        """Return where the unit stands in the exclusive namespace, 0..SPACE; -1: the layer shares none."""
        return -1 if self._namespace is None else self._namespace.bucket(unit)

    def arm(self, unit: str) -> int:
        """Return the unit's arm; an empty unit is in none. A pure function of unit, salt, phase and ranges."""
        if not unit:
            return OUTSIDE
        if self._namespace is not None and not self._range[0] <= self._namespace.bucket(unit) < self._range[1]:
            return OUTSIDE
        return self.arm_of[bisect_right(self.edges, self._salt.bucket(unit))]

    def digests(self, raws: Iterable[bytes]) -> bytes:
        """Return what `bucket` is made of, for units as they are hashed: eight bytes each, one behind the other."""
        return self._salt.digests(raws)

    def concerns_all(self, placements: Set[int], requests: Sequence[DecideRequest]) -> bool:
        """Say whether the layer looks at every one of some requests, at these placements; False also where that takes a look at each."""
        if self.always:
            return True
        layer = self.layer
        if self.dated or not (layer.placements is None or placements <= set(layer.placements)):
            return False
        return layer.channels is None or set(map(_CHANNEL, requests)) <= set(layer.channels)

    def concerns(self, placement: int, channel: str, now_ms: float) -> bool:
        """Say whether the layer looks at a request at all: its dates, placements and channels."""
        layer = self.layer
        return (
            layer.starts_at_ms <= now_ms < layer.ends_at_ms
            and (layer.placements is None or placement in layer.placements)
            and (layer.channels is None or channel in layer.channels)
        )


class Layers:
    """The bundle's layers."""

    def __init__(self, layers: Sequence[Layer]) -> None:
        self.each = tuple(map(Assigner, layers))
        self.by_visit = frozenset(layer.unit for layer in layers) & {"session", "visitor"}
        """Units that some layer is drawn by and that are not the person's own."""
        self._universal = [index for index, layer in enumerate(layers) if layer.universal]
        self._universal_columns: Bools = np.array([layer.universal for layer in layers], dtype=np.bool_)
        self._all_universal = len(self._universal) == len(layers)
        self._kinds = sorted({layer.unit for layer in layers})
        # All layers' ranges one behind the other: outside a layer's arms nobody is in any.
        self._offsets: NDArray[np.uint64] = (np.arange(len(layers), dtype=np.uint64) * np.uint64(SPACE))[:, None]
        edges = [edge + index * SPACE for index, one in enumerate(self.each) for edge in one.edges]
        self._edges: NDArray[np.uint64] = np.array(edges, dtype=np.uint64)
        self._arm_of: Arms = np.array([OUTSIDE, *[arm for one in self.each for arm in one.arm_of[1:]]], dtype=np.int16)
        self.withholding = [(index, layer.withholds) for index, layer in enumerate(layers) if layer.withholds is not None]
        """Holdouts of programmes and offers: the layer, and what it withholds, as indices of offers."""

    def assign(self, requests: Sequence[DecideRequest], placement: NDArray[np.intp], now_ms: NDArray[np.int64]) -> Arms:
        """Return [N, L] arms: from ids, placement, channel and time alone."""
        n = len(requests)
        if not self.each:
            return np.zeros((n, 0), dtype=np.int16)
        places, units = placement.tolist(), {kind: list(map(UNIT[kind], requests)) for kind in self._kinds}
        if n * len(self.each) <= FEW_ARMS:
            found = np.array([list(map(one.arm, units[one.layer.unit])) for one in self.each], dtype=np.int16)
        else:
            found = self._arms(units, n)
        at_all = set(places)
        for index, one in enumerate(self.each):
            if not one.concerns_all(at_all, requests):
                rows = zip(places, requests, now_ms.tolist(), strict=True)
                found[index, [not one.concerns(place, request.context.channel, at) for place, request, at in rows]] = OUTSIDE
        return found.T

    def _arms(self, units: Mapping[UnitKind, Sequence[str]], n: int) -> Arms:
        """Return [L, N] arms of everybody's units, as if every layer concerned every request."""
        raws = {kind: prefixed(its) for kind, its in units.items()}
        digests = b"".join([one.digests(raws[one.layer.unit]) for one in self.each])
        found = self._arm_of.take(self._edges.searchsorted(columns_of(digests, len(self.each)) + self._offsets, side="right"))
        for index, one in enumerate(self.each):
            its = units[one.layer.unit]
            if not one.plain:
                found[index] = list(map(one.arm, its))
            elif not all(its):
                # An empty unit is in no arm.
                found[index, [not unit for unit in its]] = OUTSIDE
        return found

    def universal(self, arms: Arms) -> Bools:
        """Return [N, L]: who is held out of everything, by which layer."""
        out: Bools = arms == 0
        return out if self._all_universal else out & self._universal_columns

    def held_out_of_everything(self, person_id: str, account_id: str, at_ms: float) -> tuple[bool, bool]:
        """Return (held out, it is certain) of what is known with an event: ids, perhaps without the account's, and a time.

        A layer drawn by session or visitor, or by an account that is not named, leaves it open: then held out, and not certain.
        """
        known = {"person": person_id, "account": account_id}
        certain = True
        for index in self._universal:
            one = self.each[index]
            layer = one.layer
            if not layer.boundary or not layer.starts_at_ms <= at_ms < layer.ends_at_ms:
                continue
            unit = known.get(layer.unit, "")
            if not unit:
                certain = False
            elif one.arm(unit) == 0:
                return True, True
        return not certain, certain

    def withheld(self, arms: Arms, offers: int) -> Bools | None:
        """Return [N, K]: of which offers who is held out; None: nobody of any."""
        found: Bools | None = None
        for index, some in self.withholding:
            out = arms[:, index] == _FIRST
            if True in out.tobytes():
                its = np.zeros((len(arms), offers), dtype=np.bool_)
                its[:, some] = out[:, None]
                found = its if found is None else found | its
        return found

    def withheld_from(self, person_id: str, account_id: str, offer: int) -> bool:
        """Say whether a holdout of an offer or its programme has the person or the account, whatever the time and place."""
        for index, some in self.withholding:
            unit = {"person": person_id, "account": account_id}.get(self.each[index].layer.unit, "")
            if offer in some and self.each[index].arm(unit) == 0:
                return True
        return False

    def held_out(self, people: Sequence[str]) -> Bools:
        """Return [N, L]: who is in the first arm of which holdout of persons, whatever the time and place."""
        out = np.zeros((len(people), len(self.each)), dtype=np.bool_)
        for index, one in enumerate(self.each):
            if one.layer.kind == "holdout" and one.layer.unit == "person":
                out[:, index] = [one.arm(person) == 0 for person in people]
        return out
