"""Lending: an event loop that is never idle stands still for a millisecond now and then, so that a loader in spare time gets on (ADR 0048).

A server at half load has no spare time and much room: its batches are small, and where it has a little less time they are larger, and
each decision cheaper. So what a loader needs is best given in pieces that nobody feels, by the one who knows when he is between two.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

SHARE = 0.2
"""Of the loop's time, for as long as somebody lacks it."""
EVERY_S = 0.004
"""From the end of one rest to the next, where no turn of the loop takes longer."""
MOST_S = 0.002
"""Of one rest, however long the turn before it took: what comes meanwhile waits for it."""


class Lender:
    """Lends time of one event loop. `begin` and `end` may be called from any thread, and any number of times."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        sleep: Callable[[float], None] = time.sleep,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`sleep` blocks for so many seconds; `clock` never goes back."""
        self._loop, self._sleep, self._clock = loop, sleep, clock
        self._since_s = 0.0
        self._next: asyncio.TimerHandle | None = None

    def begin(self) -> None:
        """Lend from now on."""
        self._tell(self._begin)

    def end(self) -> None:
        """Lend no more."""
        self._tell(self._end)

    def _tell(self, what: Callable[[], None]) -> None:
        try:
            self._loop.call_soon_threadsafe(what)
        except RuntimeError:  # the loop is closed: all of its time is anybody's
            return

    def _begin(self) -> None:
        if self._next is None:
            self._since_s = self._clock()
            self._next = self._loop.call_later(EVERY_S, self._rest)

    def _end(self) -> None:
        if self._next is not None:
            self._next.cancel()
            self._next = None

    def _rest(self) -> None:
        worked_s = self._clock() - self._since_s
        # Blocks on purpose: nothing of this thread runs meanwhile.
        self._sleep(min(MOST_S, worked_s * SHARE / (1 - SHARE)))
        self._since_s = self._clock()
        self._next = self._loop.call_later(EVERY_S, self._rest)
