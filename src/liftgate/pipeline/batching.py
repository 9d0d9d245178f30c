"""Adaptive batching: a batch is whatever arrived while the last one ran; never a timer. Requests share a batch, never a fate."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Coroutine, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from liftgate.domain.batch import Batch
from liftgate.domain.errors import Expired, Overloaded, StoreUnavailable
from liftgate.domain.reason import Reason
from liftgate.domain.request import DecideRequest
from liftgate.pipeline.decide import decide
from liftgate.pipeline.duplicates import Memory, settle
from liftgate.pipeline.fallback import answer_failed
from liftgate.pipeline.live import Live
from liftgate.pipeline.ports import Claim
from liftgate.pipeline.reserve import request_id_reused
from liftgate.pipeline.stages import Stage
from liftgate.pipeline.walk import Pending, Ports, Walk

__all__ = ["Batcher", "Limits", "Live"]


@dataclass(frozen=True, slots=True)
class Limits:
    """How much is taken on at once."""

    max_batch: int = 64
    max_queue: int = 1024
    """Requests waiting; one more is Overloaded."""
    batches_in_flight: int = 1
    horizon_s: float = 60.0
    """How long an answer given without Redis is remembered for retries."""


@dataclass(slots=True, eq=False)
class _Waiting:
    request: DecideRequest
    live: Live
    deadline: float | None
    futures: list[asyncio.Future[bytes]]
    """One for every caller: duplicates that arrive while the first is under way join it."""


class Batcher:
    """Joins requests into batches and walks them. One event loop; not thread-safe."""

    def __init__(self, ports: Ports, limits: Limits | None = None) -> None:
        self._ports = ports
        self._limits = limits or Limits()
        self._queue: deque[_Waiting] = deque()
        self._under_way: dict[tuple[str, str], _Waiting] = {}
        self._memory = Memory(self._limits.horizon_s)
        self._tasks: set[asyncio.Task[None]] = set()
        self._running = 0
        self._scheduled = False

    @property
    def queue_depth(self) -> int:
        """Requests waiting for a batch."""
        return len(self._queue)

    async def submit(self, request: DecideRequest, live: Live, deadline: float | None = None) -> bytes:
        """Return the encoded answer. `deadline` is on the event loop's clock, seconds; None: none.

        Raises RequestIdReused, Overloaded, Expired, LogUnavailable. Cancelling it changes nothing for its neighbours.
        """
        if len(self._queue) >= self._limits.max_queue:
            raise Overloaded
        future, waiting = self._enlist(request, live, deadline)
        if waiting is not None:
            self._queue.append(waiting)
            self._schedule()
        return await future

    async def submit_many(self, requests: Sequence[DecideRequest], live: Live, deadline: float | None = None) -> list[bytes]:
        """Return one encoded answer each, in order, walked as batches of their own.

        Raises what `submit` raises, for the first that fails; the others are decided all the same.
        """
        futures: list[asyncio.Future[bytes]] = []
        own: list[_Waiting] = []
        try:
            for request in requests:
                future, waiting = self._enlist(request, live, deadline)
                futures.append(future)
                if waiting is not None:
                    own.append(waiting)
        finally:
            # Others may have joined these: they are walked even when a later request is refused or the caller leaves.
            self._spawn(self._walk_all(own))
        return await asyncio.gather(*futures)

    async def drain(self) -> None:
        """Return when nothing waits or runs any more. The caller has stopped sending."""
        while self._queue or self._tasks:
            self._schedule()
            await asyncio.sleep(0.001) if not self._tasks else await asyncio.wait(self._tasks)

    def _enlist(self, request: DecideRequest, live: Live, deadline: float | None) -> tuple[asyncio.Future[bytes], _Waiting | None]:
        """Return the caller's future, and what to walk for it: None when it joined an answer or another caller."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[bytes] = loop.create_future()
        if not request.idempotent or request.dry_run:
            return future, _Waiting(request, live, deadline, [future])
        known = self._memory.get(request, loop.time())
        if known is not None:
            future.set_result(known)
            return future, None
        key = (request.person_id, request.request_id)
        first = self._under_way.get(key)
        if first is None:
            waiting = self._under_way[key] = _Waiting(request, live, deadline, [future])
            return future, waiting
        if first.request.fingerprint != request.fingerprint:
            raise request_id_reused()
        first.futures.append(future)
        if first.deadline is not None:
            first.deadline = None if deadline is None else max(first.deadline, deadline)
        self._ports.observer.joined(recovered=False)
        return future, None

    def _schedule(self) -> None:
        # call_soon: everything that arrives in the same turn of the loop is in the batch.
        if not self._scheduled and self._queue and self._running < self._limits.batches_in_flight:
            self._scheduled = True
            asyncio.get_running_loop().call_soon(self._start)

    def _start(self) -> None:
        self._scheduled = False
        while self._queue and self._running < self._limits.batches_in_flight:
            batch = self._next()
            if batch:
                self._running += 1
                self._spawn(self._run(batch))

    def _next(self) -> list[_Waiting]:
        """Take the next batch off the queue: one bundle, no one who has given up, no one whose time is up."""
        now = asyncio.get_running_loop().time()
        batch: list[_Waiting] = []
        while self._queue and len(batch) < self._limits.max_batch:
            waiting = self._queue[0]
            if batch and waiting.live is not batch[0].live:
                break
            self._queue.popleft()
            if waiting.deadline is not None and waiting.deadline <= now:
                self._finish(waiting, Expired())
            elif all(future.done() for future in waiting.futures):
                self._forget(waiting)
            else:
                batch.append(waiting)
        return batch

    async def _run(self, batch: list[_Waiting]) -> None:
        try:
            await self._walk(batch)
        finally:
            self._running -= 1
            self._schedule()

    async def _walk_all(self, waiting: list[_Waiting]) -> None:
        size = 4 * self._limits.max_batch
        for start in range(0, len(waiting), size):
            await self._walk(waiting[start : start + size])

    async def _walk(self, batch: list[_Waiting]) -> None:
        """Walk a batch to its answers. When a stage raises, each row walks alone, so that only the culprit falls back."""
        now_ms = self._ports.clock.now_ms()
        columns = Batch([waiting.request for waiting in batch], np.full(len(batch), now_ms, dtype=np.int64))
        walk = Walk(columns, batch[0].live, self._ports)
        try:
            await decide(walk)
        except Exception as error:
            if len(batch) > 1:
                for waiting in batch:
                    await self._walk([waiting])
                return
            self._ports.observer.fell_back(Stage(max(columns.stage_us, default=Stage.ASSIGN)), type(error).__name__)
            try:
                walk = await answer_failed(batch[0].request, batch[0].live, self._ports, now_ms)
            except Exception as again:
                self._finish(batch[0], again)
                return
        self._release(batch, walk)

    def _release(self, batch: list[_Waiting], walk: Walk) -> None:
        if walk.claims:
            self._spawn(self._confirm(list(walk.claims.values())))
        now = asyncio.get_running_loop().time()
        for row, (waiting, result) in enumerate(zip(batch, walk.results, strict=True)):
            if isinstance(result, Pending):
                self._spawn(self._settle(waiting, result))
                continue
            if walk.forced[row] in _UNREMEMBERED and isinstance(result, bytes) and waiting.request.idempotent:
                self._memory.put(waiting.request, result, now)
            self._finish(waiting, result if result is not None else RuntimeError("a row ended without a result"))

    async def _confirm(self, claims: list[Claim]) -> None:
        try:
            await self._ports.reservations.confirm(claims)
        except StoreUnavailable as error:
            self._ports.observer.fell_back(Stage.RESERVE, type(error).__name__)

    async def _settle(self, waiting: _Waiting, pending: Pending) -> None:
        try:
            self._finish(waiting, await settle(pending, self._ports))
        except Exception as error:
            self._finish(waiting, error)

    def _finish(self, waiting: _Waiting, result: bytes | Exception) -> None:
        self._forget(waiting)
        for future in waiting.futures:
            if future.done():
                continue
            if isinstance(result, bytes):
                future.set_result(result)
            else:
                future.set_exception(result)

    def _forget(self, waiting: _Waiting) -> None:
        key = (waiting.request.person_id, waiting.request.request_id)
        if self._under_way.get(key) is waiting:
            del self._under_way[key]

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


_UNREMEMBERED = frozenset({Reason.PROFILE_STORE_UNAVAILABLE, Reason.RESERVATION_UNAVAILABLE, Reason.STAGE_FAILED})
