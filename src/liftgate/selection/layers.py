"""Layers, evaluated: salted, stable, from one declared unit alone, before anything else is known. Nothing is looked up and kept."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Sequence
from operator import attrgetter

import numpy as np
from numpy.typing import NDArray

from liftgate.domain.batch import Bools
from liftgate.domain.bucketing import SPACE, Salt
from liftgate.domain.layer import OUTSIDE, Layer
from liftgate.domain.request import DecideRequest

Arms = NDArray[np.int16]
"""Indices into a layer's arms, -1 not in the layer."""

UNIT: dict[str, Callable[[DecideRequest], str]] = {kind: attrgetter(f"{kind}_id") for kind in ("person", "account", "session", "visitor")}
"""How a request names each kind of unit; empty: it does not."""


class Assigner:
    """One layer, salted once at load."""

    __slots__ = ("_arm_of", "_edges", "_namespace", "_range", "_salt", "always", "layer", "unit_of")

    def __init__(self, layer: Layer) -> None:
        self.layer, self.unit_of = layer, UNIT[layer.unit]
        self._salt = Salt(*layer.salt_parts)
        self._namespace = Salt("exclusive", layer.exclusive.namespace) if layer.exclusive else None
        self._range = (layer.exclusive.start, layer.exclusive.end) if layer.exclusive else (0, SPACE)
        ends = sorted((arm.start, arm.start + arm.used, index) for index, arm in enumerate(layer.arms) if arm.used)
        self._edges: list[int] = []
        self._arm_of: list[int] = [OUTSIDE]
        """Arm between each edge and the next."""
        for start, end, index in ends:
            if self._edges and self._edges[-1] == start:
                self._arm_of[-1] = index
            else:
                self._edges.append(start)
                self._arm_of.append(index)
            self._edges.append(end)
            self._arm_of.append(OUTSIDE)
        dated = layer.starts_at_ms > -np.inf or layer.ends_at_ms < np.inf
        self.always = not dated and layer.placements is None and layer.channels is None
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
        return self._arm_of[bisect_right(self._edges, self._salt.bucket(unit))]

    def arms(self, units: Sequence[str]) -> list[int]:
        """Return `arm` of each unit."""
        if self._namespace is not None or not all(units):
            return [self.arm(unit) for unit in units]
        arm_of, edges = self._arm_of, self._edges
        return [arm_of[bisect_right(edges, bucket)] for bucket in self._salt.buckets(units)]

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
        self.withholding = [(index, layer.withholds) for index, layer in enumerate(layers) if layer.withholds is not None]
        """Holdouts of programmes and offers: the layer, and what it withholds, as indices of offers."""

    def assign(self, requests: Sequence[DecideRequest], placement: NDArray[np.intp], now_ms: NDArray[np.int64]) -> Arms:
        """Return [N, L] arms: from ids, placement, channel and time alone."""
        if not self.each:
            return np.zeros((len(requests), 0), dtype=np.int16)
        columns = []
        for one in self.each:
            units = list(map(one.unit_of, requests))
            if not one.always:
                rows = zip(units, requests, placement.tolist(), now_ms.tolist(), strict=True)
                # An empty unit is in no arm.
                units = [unit if one.concerns(place, request.context.channel, at) else "" for unit, request, place, at in rows]
            columns.append(one.arms(units))
        return np.array(columns, dtype=np.int16).T

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
            rows = np.flatnonzero(arms[:, index] == 0)
            if rows.size:
                found = np.zeros((len(arms), offers), dtype=np.bool_) if found is None else found
                found[np.ix_(rows, some)] = True
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
