"""Gathering: where a transport hands requests over one by one, a batch waits while turns of the loop go on bringing more. Never a timer."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable

_give_way: Callable[[], None] = getattr(os, "sched_yield", lambda: None)
"""Lets the transport's own thread run, which may share this core."""


class Gathering:
    """Starts a batch at once, or after so many turns of the loop in a row without another request."""

    __slots__ = ("_full", "_start", "_turns", "_waiting")

    def __init__(self, turns: int, full: int, waiting: Callable[[], int], start: Callable[[], None]) -> None:
        """`waiting` says how many requests wait; as soon as they are `full`, the batch starts."""
        self._turns, self._full = turns, full
        self._waiting, self._start = waiting, start

    def begin(self, loop: asyncio.AbstractEventLoop, busy: bool) -> None:
        """Call `start` on a later turn of the loop: the next, or if `busy` once no more requests come."""
        # call_soon even then: everything that arrives in the same turn is in the batch.
        loop.call_soon(self._look, loop, 0, self._turns if busy else 0)

    def _look(self, loop: asyncio.AbstractEventLoop, seen: int, left: int) -> None:
        waiting = self._waiting()
        if not left or waiting >= self._full:
            self._start()
            return
        _give_way()
        loop.call_soon(self._look, loop, waiting, self._turns if waiting > seen else left - 1)
