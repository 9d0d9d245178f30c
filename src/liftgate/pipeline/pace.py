"""Pace: how long batches take of late, and so whether a request at the end of the queue is still answered in time."""

from __future__ import annotations

_NEWEST = 0.2
"""Weight of the newest batch in what batches take."""


class Pace:
    """Times batches, one after the other. All times on one clock, in seconds."""

    __slots__ = ("_batch_s", "_began", "_max_batch", "_spare_s")

    def __init__(self, max_batch: int, spare_s: float) -> None:
        """`spare_s`: what a request wants to have left when its batch starts, its batch's own time aside."""
        self._max_batch, self._spare_s = max_batch, spare_s
        self._batch_s = 0.0
        self._began = 0.0

    def began(self, now: float) -> None:
        """A batch starts."""
        self._began = now

    def ended(self, now: float) -> None:
        """The batch that started last has ended."""
        self._batch_s += _NEWEST * (now - self._began - self._batch_s)

    def in_time(self, waiting: int, now: float, deadline: float) -> bool:
        """Say whether a request behind so many others will have been answered by its deadline: those before it go in full batches."""
        batches = waiting // self._max_batch + 2
        return now + batches * self._batch_s + self._spare_s <= deadline
