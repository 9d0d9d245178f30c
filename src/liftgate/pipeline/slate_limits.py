"""What offers chosen earlier in an answer leave to later ones: places under caps, and under the placement's diversity."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from liftgate.bundle.compiled import Bundle
from liftgate.domain.batch import Batch, Bools
from liftgate.pipeline.cap_plan import CapPlan
from liftgate.selection.limits import Limits

_ANY = 1 << 40


class SlateLimits:
    """A bundle's counters within one answer, compiled once. Immutable."""

    def __init__(self, bundle: Bundle, caps: CapPlan) -> None:
        self._caps = caps
        groups = sorted({offer.group for offer in bundle.offers if offer.group})
        most = np.array([placement.max_per_group or _ANY for placement in bundle.placements], dtype=np.int64)
        self.diverse = bool(groups) and bool((most < _ANY).any())
        """A placement limits how many offers of one group stand in an answer."""
        self._room: NDArray[np.int64] = np.repeat(most[:, None], len(groups), axis=1)
        self._members: NDArray[np.int64] = np.array(
            [[offer.group == group for group in groups] for offer in bundle.offers], dtype=np.int64
        ).reshape(len(bundle.offers), len(groups))

    def of(self, batch: Batch, *, capped: bool) -> Limits | None:
        """Return the counters of a batch; `capped` False: diversity alone."""
        caps = Limits(batch.cap_room, self._caps.spends, self._caps.holds) if capped else None
        if not self.diverse:
            return caps
        alike = Limits(self._alike_room(batch), self._members, self._members)
        return alike if caps is None else caps.beside(alike)

    def too_alike(self, batch: Batch) -> Bools:
        """Return [N, K] offers for whose group what an answer shows already leaves no place."""
        if not self.diverse:
            return np.zeros(batch.allowed.shape, dtype=np.bool_)
        held: Bools = (self._alike_room(batch) <= 0).astype(np.int64) @ self._members.T > 0
        return held

    def _alike_room(self, batch: Batch) -> NDArray[np.int64]:
        room = self._room[batch.placement]
        return room if batch.shown_already is None else room - batch.shown_already.astype(np.int64) @ self._members
