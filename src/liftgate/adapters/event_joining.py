"""Calls about events that come close together are taken together: one look, one write, one count. They share a batch, never a fate.

A lone call begins at the loop's next turn, with whatever came in the same one. While batches are under way small calls gather, never by
a timer; a call that is large already gains nothing by that, and begins at once.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Sequence
from typing import Any, NamedTuple

from liftgate.adapters.event_taken import Taken
from liftgate.adapters.event_taking import Taking

LARGE = 32
"""Events of a call that is not joined with others."""
MOST = 256
"""Events of several calls in one batch."""
UNDER_WAY = 2
"""Batches of small calls at a time: one's round trips and another's work."""


class _Waiting(NamedTuple):
    messages: Sequence[Any]
    future: asyncio.Future[Taken]


class Joining:
    """Joins calls. One event loop. A caller who leaves takes nothing back: what was told may be in the log."""

    def __init__(self, taking: Taking) -> None:
        self._taking = taking
        self._waiting: deque[_Waiting] = deque()
        self._tasks: set[asyncio.Task[None]] = set()
        self._small = 0
        self._scheduled = False

    async def take(self, messages: Sequence[Any]) -> Taken:
        """Take one call's events, `liftgate.v1.Event`s. Raises LogUnavailable when nothing of them was logged."""
        loop = asyncio.get_running_loop()
        waiting = _Waiting(messages, loop.create_future())
        if len(messages) >= LARGE:
            self._spawn(loop, [waiting], 0)
        else:
            self._waiting.append(waiting)
            self._schedule(loop)
        return await waiting.future

    def _schedule(self, loop: asyncio.AbstractEventLoop) -> None:
        if self._waiting and not self._scheduled and self._small < UNDER_WAY:
            self._scheduled = True
            loop.call_soon(self._start, loop)

    def _start(self, loop: asyncio.AbstractEventLoop) -> None:
        self._scheduled = False
        batch: list[_Waiting] = []
        events = 0
        while self._waiting and events + len(self._waiting[0].messages) <= MOST:
            waiting = self._waiting.popleft()
            if not waiting.future.done():
                batch.append(waiting)
                events += len(waiting.messages)
        if batch:
            self._small += 1
            self._spawn(loop, batch, 1)
        self._schedule(loop)

    def _spawn(self, loop: asyncio.AbstractEventLoop, batch: list[_Waiting], small: int) -> None:
        task = loop.create_task(self._run(loop, batch, small))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _run(self, loop: asyncio.AbstractEventLoop, batch: list[_Waiting], small: int) -> None:
        try:
            found = await self._taking.take([waiting.messages for waiting in batch])
        except Exception as error:  # whatever it is, nobody is left waiting
            for waiting in batch:
                if not waiting.future.done():
                    waiting.future.set_exception(error)
        else:
            for waiting, taken in zip(batch, found, strict=True):
                if not waiting.future.done():
                    waiting.future.set_result(taken)
        finally:
            self._small -= small
            self._schedule(loop)
