"""Pace: how long batches take of late, and so whether a request at the end of the queue is still answered in time."""

from __future__ import annotations

_NEWEST = 0.2
"""Weight of the newest batch in what batches take."""


class Pace:
    """Times batches: what passes, while there is work, from the end of one to the end of the next. All times on one clock, in seconds."""

    __slots__ = ("_batch_s", "_max_batch", "_running", "_since", "_spare_s")

    def __init__(self, max_batch: int, spare_s: float) -> None:
        """`spare_s`: what a request wants to have left when its batch starts, its batch's own time aside."""
        self._max_batch, self._spare_s = max_batch, spare_s
        self._batch_s = 0.0
        self._since = 0.0
        self._running = 0

    def began(self, now: float) -> None:
        """A batch starts."""
        if not self._running:
            self._since = now
        self._running += 1

    def ended(self, now: float) -> None:
        """A batch has ended, whichever."""
        self._batch_s += _NEWEST * (now - self._since - self._batch_s)
        self._since = now
        self._running -= 1

    def in_time(self, waiting: int, now: float, deadline: float) -> bool:
        """Say whether a request behind so many others will have been answered by its deadline: those before it go in full batches."""
        batches = waiting // self._max_batch + 2
        return now + batches * self._batch_s + self._spare_s <= deadline
