"""Slot defaults: what stands in the slots of an answer for which nothing was left to draw."""

from __future__ import annotations

from liftgate.bundle.compiled import Bundle
from liftgate.domain.batch import Batch
from liftgate.domain.reason import Reason

_BELOW = Reason.BELOW_THRESHOLD


class SlotDefaults:
    """A bundle's defaults of second and later slots, compiled once. Immutable."""

    def __init__(self, bundle: Bundle) -> None:
        self._bundle = bundle
        self.any = any(placement.later_defaults for placement in bundle.placements)
        """Some placement has a default for a later slot; without one `behind` is not needed."""

    def behind(self, batch: Batch, row: int, chosen: tuple[int, ...], slots: int) -> tuple[int, ...]:
        """Return the defaults that stand behind what was chosen, slot by slot, in `slots` slots: those that pass the whole chain.

        None stands twice in an answer, nor where the placement's diversity has no place for it. A slot that stays empty because what was
        left is not worth showing shows no default either.
        """
        place = self._bundle.placements[batch.placement[row]]
        if len(chosen) >= min(slots, len(place.defaults)) or (batch.not_shown is not None and (batch.not_shown[row] == _BELOW).any()):
            return ()
        found: list[int] = []
        for slot in range(len(chosen), min(slots, len(place.defaults))):
            offer = place.defaults[slot]
            if offer not in chosen and batch.default_passes(row, slot) and self.fits(batch, row, offer, (*chosen, *found)):
                found.append(offer)
        return tuple(found)

    def fits(self, batch: Batch, row: int, offer: int, shown: tuple[int, ...]) -> bool:
        """Say whether an answer that shows some offers may show another one beside them, by the placement's diversity."""
        offers, most = self._bundle.offers, self._bundle.placements[batch.placement[row]].max_per_group
        group = offers[offer].group
        return not most or not group or sum(offers[k].group == group for k in shown) < most
