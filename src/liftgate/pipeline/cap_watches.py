"""Watches: on which caps a choice depended, and up to which count it would have been the same."""

from __future__ import annotations

from collections.abc import Sequence
from operator import attrgetter, lt
from typing import Any

import numpy as np
from numpy.typing import NDArray

from liftgate.bundle.compiled import Bundle
from liftgate.domain.batch import Batch, Bools
from liftgate.domain.offer import Indices
from liftgate.pipeline.ports import NOTHING_WATCHED, Watch

UNLIMITED = 2**40
"""Room of a cap that does not concern the row."""
KNOWN = 65_536
"""Caps in all watches that are remembered; more, and all are forgotten."""
_SLOT_COUNT = attrgetter("slot_count")
_NO_ROOM = np.array(0)  # numpy takes longer over a number of Python's


class CapWatches:
    """What claims watch. While a cap has room for every slot, more use changes nothing; below that, any use may change a later slot."""

    def __init__(self, bundle: Bundle, limits: NDArray[np.int64], once: Bools, people: int, people_of: Sequence[Sequence[Indices]]) -> None:
        """Take [caps] limits, and which of them a slate is charged once at most; the first `people` are caps of persons.

        `people_of`, by channel and placement: those of them that hold any of its offers back.
        """
        self._ids = [cap.cap_id for cap in bundle.caps]
        self._limits, self._once, self._people, self._people_of = limits, once, people, people_of
        self._any_once = bool(once[:people].any())
        self._usual = [
            [
                [self._roomy(columns, slots) for slots in range(place.slots + 1)]
                for place, columns in zip(bundle.placements, row, strict=True)
            ]
            for row in people_of
        ]
        """By channel, placement and slots: where every cap has room for all of them."""
        self._tight: dict[tuple[int, int, bytes], Watch] = {}
        """By channel, placement and room, counted up to the slots: as far as it came up."""

    def of(self, batch: Batch, channels: Sequence[int]) -> list[Watch]:
        """Return for each row the person's caps that are not used up, with the count up to which the choice would have been the same."""
        if not self._people:
            return [NOTHING_WATCHED] * batch.n
        room = batch.cap_room[:, : self._people]
        if self._any_once:
            # Charged once at most: room for one is room for every slot.
            room = np.where(self._once[: self._people] & (room > 0), UNLIMITED, room)
        places, slots, usual = batch.placement.tolist(), list(map(_SLOT_COUNT, batch.requests)), self._usual
        found = [usual[channel][place][count] for channel, place, count in zip(channels, places, slots, strict=True)]
        # Over all caps: a tight one elsewhere only costs the row a look of its own.
        tight = list(map(lt, np.minimum.reduce(room, axis=1).tolist(), slots))
        if True in tight:
            rows = [row for row, one in enumerate(tight) if one]
            left = np.minimum(np.maximum(room.take(rows, axis=0), _NO_ROOM), np.array([slots[row] for row in rows])[:, None])
            known = self._tight
            for row, own in zip(rows, left.view(f"V{8 * self._people}")[:, 0].tolist(), strict=True):
                alike = channels[row], places[row], own
                found[row] = known.get(alike) or self._learn(alike)
        return found

    def _learn(self, alike: tuple[int, int, bytes]) -> Watch:
        """Return what rows alike watch, and remember it."""
        channel, place, own = alike
        columns = self._people_of[channel][place]
        room = np.frombuffer(own, dtype=np.int64)[columns]
        if len(self._tight) * self._people >= KNOWN:
            self._tight.clear()
        most = self._limits[columns] - np.where(self._once[columns], 1, room)
        watch = self._tight[alike] = self._watch(columns, most, room)
        return watch

    def account(self, columns: Indices, room: NDArray[np.int64], slots: int) -> Watch:
        """Return what is watched of an account's caps, from [caps] room."""
        own, limits = room[columns], self._limits[columns]
        return self._watch(columns, np.maximum(limits - own, limits - np.where(self._once[columns], 1, slots)), own)

    def _roomy(self, columns: Indices, slots: int) -> Watch:
        return self._watch(columns, self._limits[columns] - np.where(self._once[columns], 1, slots), np.ones(len(columns)))

    def _watch(self, columns: Indices, most: NDArray[np.int64], room: NDArray[Any]) -> Watch:
        its = zip(columns.tolist(), most.tolist(), room.tolist(), strict=True)
        return Watch(tuple([(self._ids[c], count) for c, count, left in its if left > 0]))
