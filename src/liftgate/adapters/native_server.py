"""The native transport with a short way for the methods that are called most: `direct_calls`. Everything else goes the library's way.

It leans on names of pygrpc-native's server that are not public, of the one version that is locked: `_on_events`, `_table`, `_front`,
`_calls`, `_receive_limit` and `_stopping`. tests/e2e holds both ways to the same behaviour.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

import pygrpc_native.aio
from pygrpc_native._native import EVENT_CANCEL

from liftgate.adapters.direct_calls import DirectCall, DirectMethod, Metadata, refusal

_SENT_S = 0.02
_DAY_S = 86_400.0
"""Whoever seems to leave more than this has sent no deadline, or as good as none."""


class NativeServer(pygrpc_native.aio.Server):  # type: ignore[misc]  # grpcio has no types
    """pygrpc-native's server; calls of `direct` methods, by path, are handed over as they come."""

    def __init__(self, direct: Mapping[str, DirectMethod], options: Sequence[tuple[str, Any]], io_threads: int = 1) -> None:
        super().__init__(options=options, io_threads=io_threads)
        self._direct = direct
        self._gathered = [method.gathered for method in direct.values() if method.gathered is not None]
        self._taken: dict[int, DirectCall] = {}
        self._none_left = asyncio.Event()

    def respond(self, number: int, answer: bytes) -> None:
        """See `direct_calls.Line`."""
        self._front.respond(number, answer)
        self.forget(number)

    def fail(self, number: int, code: int, message: str, trailers: Metadata) -> None:
        """See `direct_calls.Line`."""
        self._front.fail(number, code, message, trailing_metadata=trailers)
        self.forget(number)

    def forget(self, number: int) -> None:
        """See `direct_calls.Line`."""
        self._taken.pop(number, None)
        if self._stopping and not self._taken:
            self._none_left.set()

    async def stop(self, grace: float | None) -> None:
        """Refuse new calls, let those in flight finish for `grace` seconds, then end them."""
        if self._taken and not self._stopping:
            # One task stands for all of them: the library waits for it as long as for any call's, and then cancels it.
            waiting = asyncio.get_running_loop().create_task(self._last())
            self._calls[-1] = _Standing(waiting)
        await super().stop(grace)

    async def _last(self) -> None:
        try:
            await self._none_left.wait()
            # The last answers are with the transport's thread by now: it has a moment to send them before connections are closed.
            await asyncio.sleep(_SENT_S)
        finally:
            for call in tuple(self._taken.values()):
                call.leave()
            self._calls.pop(-1, None)

    def _on_events(self, events: list[tuple[Any, ...]]) -> None:
        taken, direct, table, limit = self._taken, self._direct, self._table, self._receive_limit
        others: list[tuple[Any, ...]] = []
        refusing, hopeless_s, refused = None, 0.0, 0
        for event in events:
            kind, number, place, payload, _, details = event
            if kind == EVENT_CANCEL:
                call = taken.get(number)
                if call is None:
                    others.append(event)
                else:
                    call.leave()
                continue
            method = direct.get(table[place][0])
            if method is None or self._stopping or (limit is not None and len(payload) > limit):
                others.append(event)
                continue
            if method.refuses is not None:
                # As taking it would end, for less: most calls of an overload go this way.
                left_s = details[2]
                known = left_s is not None and 0.0 < left_s <= hopeless_s and method is refusing
                if known or method.refuses(left_s):
                    self._front.fail(number, *refusal())
                    if method is not refusing:
                        self._count(refusing, refused)
                        refusing, hopeless_s, refused = method, 0.0, 0
                    refused += 1
                    if not known and left_s is not None and left_s < _DAY_S:
                        hopeless_s = max(hopeless_s, left_s)
                    continue
            call = taken[number] = DirectCall(self, method, number, details[0], details[2])
            try:
                method.take(payload, call)
            except Exception as error:
                call.set_exception(error)
        self._count(refusing, refused)
        for gathered in self._gathered:
            gathered()
        if others:
            super()._on_events(others)

    @staticmethod
    def _count(method: DirectMethod | None, refused: int) -> None:
        if method is not None:
            method.turned_away(refused)


class _Standing:
    """As much of a call of the library's as its `stop` and a cancellation look at."""

    __slots__ = ("task",)

    def __init__(self, task: asyncio.Task[None]) -> None:
        self.task = task
