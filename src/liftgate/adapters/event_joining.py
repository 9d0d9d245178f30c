"""Calls about events that come close together are taken together: one look, one write, one count. They share a batch, never a fate.

A lone call begins with whatever came in the same turn of the loop, before any decision of that turn is walked. While batches are under
way small calls gather, never by a timer; a call that is large already gains nothing by that, and begins at once. Batches are errands
(`errand.py`): they go on as soon as the store has answered.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Sequence
from functools import cached_property
from typing import Any, NamedTuple, Protocol

from liftgate.adapters.errand import run
from liftgate.adapters.event_taken import Taken
from liftgate.adapters.event_taking import Taking

LARGE = 32
"""Events of a call that is not joined with others."""
MOST = 256
"""Events of several calls in one batch."""
UNDER_WAY = 2
"""Batches of small calls at a time: one's round trips and another's work."""


class Caller(Protocol):
    """Who told events: a future, or a call of the transport's."""

    def done(self) -> bool:
        """Say whether nobody waits any more."""
        ...

    def set_result(self, result: Taken, /) -> None:
        """Say what became of them."""
        ...

    def set_exception(self, exception: Exception, /) -> None:
        """Say that nothing of them was logged, and why."""
        ...


class _Waiting(NamedTuple):
    messages: Sequence[Any]
    caller: Caller


class Joining:
    """Joins calls. One event loop. A caller who leaves takes nothing back: what was told may be in the log."""

    def __init__(self, taking: Taking) -> None:
        self._taking = taking
        self._waiting: deque[_Waiting] = deque()
        self._tasks: set[asyncio.Task[list[Taken]]] = set()
        self._small = 0
        self._scheduled = False

    @cached_property
    def _loop(self) -> asyncio.AbstractEventLoop:
        # Kept: asking for it is a system call before Python 3.12.
        return asyncio.get_running_loop()

    async def take(self, messages: Sequence[Any]) -> Taken:
        """Take one call's events, `liftgate.v1.Event`s. Raises LogUnavailable when nothing of them was logged."""
        future: asyncio.Future[Taken] = self._loop.create_future()
        self.enter(messages, future)
        if self._waiting and not self._scheduled:
            self._scheduled = True
            self._loop.call_soon(self._turned)
        return await future

    def enter(self, messages: Sequence[Any], caller: Caller) -> None:
        """Tell the caller what `take` returns or raises; what is not large already begins with `gathered`."""
        waiting = _Waiting(messages, caller)
        if len(messages) >= LARGE:
            self._begin([waiting], 0)
        else:
            self._waiting.append(waiting)

    def _turned(self) -> None:
        self._scheduled = False
        self.gathered()

    def gathered(self) -> None:
        """Begin with what waits, as far as there is room: all calls that came together are in."""
        while self._waiting and self._small < UNDER_WAY:
            batch: list[_Waiting] = []
            events = 0
            while self._waiting and events + len(self._waiting[0].messages) <= MOST:
                waiting = self._waiting.popleft()
                if not waiting.caller.done():
                    batch.append(waiting)
                    events += len(waiting.messages)
            if batch:
                self._small += 1
                self._begin(batch, 1)

    def _begin(self, batch: list[_Waiting], small: int) -> None:
        def ended(found: list[Taken] | None, error: Exception | None) -> None:
            self._small -= small
            if error is not None or found is None:
                for waiting in batch:  # whatever it is, nobody is left waiting
                    if not waiting.caller.done():
                        waiting.caller.set_exception(error or RuntimeError("nothing was said of events"))
            else:
                for waiting, taken in zip(batch, found, strict=True):
                    if not waiting.caller.done():
                        waiting.caller.set_result(taken)
            if self._waiting:
                self.gathered()

        run(self._loop, self._taking.take([waiting.messages for waiting in batch]), ended, self._tasks)
