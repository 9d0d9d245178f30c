"""Pace: what a request costs of late, and so whether one more at the end of the queue is answered well before its deadline."""

from __future__ import annotations

_OLD = 0.8
"""Weight of all earlier batches beside the newest."""
_BATCH = 24
"""What a batch costs however small it is, in requests (docs/performance.md): so small batches tell what a large one will take."""
_SHARE = 0.5
"""Of the time that is left when a request comes: so long it may take here. The way in and out is long, too, when the machine is full."""


class Pace:
    """Times batches: what passes, while there is work, from the end of one to the end of the next. All times on one clock, in seconds."""

    __slots__ = ("_max_batch", "_running", "_since", "_took", "_under_way", "_work")

    def __init__(self, max_batch: int) -> None:
        self._max_batch = max_batch
        self._took = 0.0
        self._work = 1.0
        """What batches took, and what they were worth in requests: each counts less with every later one."""
        self._since = 0.0
        """When the last one ended, or the first one began since there was none."""
        self._running = 0
        self._under_way = 0
        """What those that run are worth."""

    def began(self, now: float, requests: int) -> None:
        """A batch of so many requests starts."""
        if not self._running:
            self._since = now
        self._running += 1
        self._under_way += requests + _BATCH

    def ended(self, now: float, requests: int) -> None:
        """A batch of so many has ended, whichever."""
        self._took = _OLD * self._took + now - self._since
        self._work = _OLD * self._work + requests + _BATCH
        self._since = now
        self._running -= 1
        self._under_way -= requests + _BATCH

    def in_time(self, waiting: int, now: float, deadline: float) -> bool:
        """Say whether a request behind so many others will have been answered in half of the time that is left until its deadline."""
        each = self._took / self._work
        own = waiting + 1 + _BATCH * (waiting // self._max_batch + 1)
        return max(self._since + (self._under_way + own) * each, now + own * each) <= now + _SHARE * (deadline - now)
