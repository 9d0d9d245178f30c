"""Adaptive batching: a batch is whatever arrived while the last one ran; never a timer. Requests share a batch, never a fate."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Coroutine, Sequence
from contextlib import suppress
from functools import cached_property
from itertools import repeat
from math import inf
from typing import Any

import numpy as np

from liftgate.domain.batch import Batch
from liftgate.domain.errors import Expired, Overloaded, StoreUnavailable
from liftgate.domain.reason import Reason
from liftgate.domain.request import DecideRequest
from liftgate.domain.verdict import Asked
from liftgate.pipeline.amends import Amends
from liftgate.pipeline.caller import Caller, Limits
from liftgate.pipeline.decide import decide
from liftgate.pipeline.decision_desk import asked_for
from liftgate.pipeline.duplicates import Memory, settle
from liftgate.pipeline.fallback import answer_failed
from liftgate.pipeline.gathering import gathered
from liftgate.pipeline.live import Live
from liftgate.pipeline.pace import Pace
from liftgate.pipeline.ports import Amendment, ReviewQueue
from liftgate.pipeline.reserve import request_id_reused
from liftgate.pipeline.stages import RESERVE
from liftgate.pipeline.waiting import BatchCall, Key, Place, Waiting
from liftgate.pipeline.walk import Pending, Ports, Walk

__all__ = ["Batcher", "Caller", "Limits", "Live"]


class Batcher:
    """Joins requests into batches and walks them. One event loop; not thread-safe."""

    def __init__(self, ports: Ports, limits: Limits | None = None) -> None:
        self._ports = ports
        self._limits = limits or Limits()
        self._single: deque[Waiting] = deque()
        self._bulk: deque[tuple[BatchCall, list[Waiting]]] = deque()
        """Batch calls: their requests fill what single ones leave of a batch, and never less than a quarter."""
        self._bulk_waiting = 0
        """Requests of theirs that wait."""
        self._under_way: dict[Key, Waiting] = {}
        self._memory = Memory(self._limits.horizon_s)
        self._amends = Amends(ports, self._limits.horizon_s)
        self._tasks: set[asyncio.Task[None]] = set()
        self._running = 0
        self._scheduled = False
        self._further_from = min(self._limits.further_from, self._limits.max_batch)
        self._crowd = min(self._further_from, self._limits.max_queue)
        self._busy = False  # whether the last batch held more than one request
        self._pace = Pace(self._limits.max_batch)

    @cached_property
    def _loop(self) -> asyncio.AbstractEventLoop:
        # Kept: asking for it is a system call before Python 3.12.
        return asyncio.get_running_loop()

    @property
    def refuses_without_log(self) -> bool:
        """While the log cannot be written, requests are refused rather than answered with the default."""
        return self._ports.on_log_failure == "refuse"

    @property
    def queue_depth(self) -> int:
        """Requests waiting for a batch."""
        return len(self._single) + self._bulk_waiting

    async def submit(self, request: DecideRequest, live: Live, deadline: float | None = None) -> bytes:
        """Return the encoded answer. `deadline` is on the event loop's clock, seconds; None: none.

        Raises RequestIdReused, Overloaded, Expired, LogUnavailable. Cancelling it changes nothing for its neighbours.
        """
        if self.crowded and self.too_late(deadline):
            raise Overloaded
        future: asyncio.Future[bytes] = self._loop.create_future()
        self.enter(future, request, live, deadline)
        return await future

    def enter(self, caller: Caller, request: DecideRequest, live: Live, deadline: float | None = None) -> None:
        """Give what `submit` returns or raises to the caller; perhaps at once. What it raises itself the caller does not hear.

        Only a full queue refuses: whether it is `too_late` has been asked before the request was read.
        """
        if len(self._single) >= self._limits.max_queue:
            raise Overloaded
        waiting = self._enlist(caller, request, live, deadline)
        if waiting is not None:
            self._single.append(waiting)
            self._schedule()

    @property
    def crowded(self) -> bool:
        """Say whether so many requests wait that one more may be refused."""
        return len(self._single) >= self._crowd

    def too_late(self, deadline: float | None = None) -> bool:
        """Say whether the queue is full, or so long that one more would hardly be in time: refused at once, others surely are."""
        waiting = len(self._single)
        if waiting < self._crowd or deadline is None:
            return waiting >= self._limits.max_queue
        return waiting >= self._limits.max_queue or not self._pace.in_time(waiting, self._loop.time(), deadline)

    async def submit_many(self, requests: Sequence[DecideRequest], live: Live, deadline: float | None = None) -> list[bytes]:
        """Return one encoded answer each, in order. Others' single requests go before them.

        Raises what `submit` raises, for the first that fails; the others are decided all the same.
        """
        if self._bulk_waiting >= self._limits.max_queue:
            raise Overloaded
        call = BatchCall(self._loop.create_future(), inf if deadline is None else deadline, len(requests))
        keys = [(one.person_id, one.request_id) if one.idempotent and not one.dry_run else None for one in requests]
        rows: list[Waiting] = []
        try:
            if self._memory.empty and self._under_way.keys().isdisjoint(keys) and None not in keys and len(set(keys)) == len(keys):
                # All of them are new: a list at a time.
                rows = list(map(Waiting, requests, repeat(live), repeat(call.deadline), keys, repeat(()), repeat(call), range(len(keys))))
                self._under_way.update(zip(keys, rows, strict=True))  # type: ignore[arg-type]  # no key is None
            else:
                for place, request in enumerate(requests):
                    waiting = self._enlist(Place(call, place), request, live, deadline)
                    if waiting is not None:
                        rows.append(waiting)
        finally:
            # Others may have joined these: they are walked even when a later request is refused or the caller leaves.
            if rows:
                self._bulk.append((call, rows))
                self._bulk_waiting += len(rows)
            self._schedule()
        return await call.future

    async def drain(self) -> None:
        """Return when nothing waits or runs any more. The caller has stopped sending."""
        while self.queue_depth or self._tasks:
            self._schedule()
            await asyncio.sleep(0.001) if not self._tasks else await asyncio.wait(self._tasks)
        await self._amends.close()

    def _enlist(self, caller: Caller, request: DecideRequest, live: Live, deadline: float | None) -> Waiting | None:
        """Return what to walk for the caller: None when it joined an answer or another caller."""
        until = inf if deadline is None else deadline
        if not request.idempotent or request.dry_run:
            return Waiting(request, live, until, None, (caller,))
        known = self._memory.get(request, self._loop.time())
        if known is not None:
            caller.set_result(known)
            return None
        key = (request.person_id, request.request_id)
        first = self._under_way.get(key)
        if first is None:
            waiting = self._under_way[key] = Waiting(request, live, until, key, (caller,))
            return waiting
        if first.request.fingerprint != request.fingerprint:
            raise request_id_reused()
        first.callers += (caller,)
        if first.call is not None:
            first.call.joined = True
        first.deadline = max(first.deadline, until)
        self._ports.observer.joined(recovered=False)
        return None

    def _schedule(self) -> None:
        if (self._single or self._bulk) and not self._scheduled and self._may_start():
            self._scheduled = True
            # A task of its own even then: everything that arrives in the same turn of the loop is in the batch.
            self._spawn(self._run())

    def _may_start(self) -> bool:
        """Say whether a batch may start: the only one, or a large one while others wait for Redis."""
        if not self._running:
            return self.queue_depth > 0
        return self._running < self._limits.batches_in_flight and self.queue_depth >= self._further_from

    def _next(self, now: float) -> list[Waiting]:
        """Take the next batch off the queues: one bundle, no one who has given up, no one whose time is up."""
        batch: list[Waiting] = []
        most = self._limits.max_batch
        self._take(batch, most - min(self._bulk_waiting, most // 4), now)
        if self._bulk:
            self._take_bulk(batch, most if batch else 2 * most, now)
        return batch

    def _take(self, batch: list[Waiting], limit: int, now: float) -> None:
        """Move single requests into the batch until it holds `limit`. Those in a hurry are not mixed with those that have time."""
        queue, hurried_until = self._single, now + self._limits.hurry_s
        while queue and len(batch) < limit:
            waiting = queue[0]
            if batch:
                first = batch[0]
                if waiting.live is not first.live or (waiting.deadline < hurried_until) is not (first.deadline < hurried_until):
                    break
            queue.popleft()
            if waiting.deadline <= now or waiting.callers[0].done():
                self._sift(waiting, batch, now)
            else:
                batch.append(waiting)

    def _take_bulk(self, batch: list[Waiting], limit: int, now: float) -> None:
        """Move requests of batch calls into the batch likewise, those of a call together."""
        queue, hurried_until = self._bulk, now + self._limits.hurry_s
        while queue and len(batch) < limit:
            call, rows = queue[0]
            if batch:
                first = batch[0]
                if rows[0].live is not first.live or (call.deadline < hurried_until) is not (first.deadline < hurried_until):
                    break
            queue.popleft()
            room = limit - len(batch)
            if len(rows) > room:
                queue.appendleft((call, rows[room:]))
                del rows[room:]
            self._bulk_waiting -= len(rows)
            if call.deadline > now and not call.left_alone:
                batch += rows
                continue
            for waiting in rows:
                self._sift(waiting, batch, now)

    def _sift(self, waiting: Waiting, batch: list[Waiting], now: float) -> None:
        """Put a request into the batch unless its time is up or nobody waits for it any more."""
        if waiting.deadline <= now:
            self._finish(waiting, Expired())
        elif waiting.wanted:
            batch.append(waiting)
        else:
            self._forget(waiting)

    async def _run(self) -> None:
        """Take a batch off the queues, walk it, and confirm what it claimed."""
        if self._busy:
            await gathered(lambda: self.queue_depth, self._limits.max_batch, self._limits.gather_turns)
        self._scheduled = False
        now = self._loop.time()
        batch = self._next(now)
        if not batch:
            return
        self._busy = len(batch) > 1
        self._running += 1
        self._pace.began(now, len(batch))
        self._schedule()
        walked: list[Walk] = []
        try:
            await self._walk(batch, walked)
        except Exception as error:  # whatever it is, nobody is left waiting
            for waiting in batch:
                self._finish(waiting, error)
        finally:
            self._running -= 1
            self._pace.ended(self._loop.time(), len(batch))
            self._schedule()
        # The loop's next turn wakes the callers: they have their answers before anything else is done.
        await asyncio.sleep(0)
        for walk in walked:
            self._ports.observer.decided(walk.batch, walk.live.bundle, walk.decided())
            if walk.claims:
                try:
                    await self._ports.reservations.confirm(list(walk.claims.values()))
                except StoreUnavailable as error:
                    self._ports.observer.fell_back(RESERVE, type(error).__name__)
            if walk.batch.requested is not None and self._ports.review_queue is not None:
                await self._ask_reviewers(self._ports.review_queue, asked_for(walk))

    def _budget_s(self, batch: list[Waiting]) -> float | None:
        """Return what a round trip of the batch may take: a third of the shortest time left where that is short, else None."""
        now = self._loop.time()
        if batch[0].deadline - now >= self._limits.hurry_s:
            return None
        return max((min(waiting.deadline for waiting in batch) - now) / 3, 0.001)

    async def _walk(self, batch: list[Waiting], walked: list[Walk]) -> None:
        """Walk a batch to its answers; add it to `walked`. When a stage raises, each row walks alone: only the culprit falls back."""
        now_ms = self._ports.clock.now_ms()
        columns = Batch([waiting.request for waiting in batch], np.array([now_ms] * len(batch), dtype=np.int64))
        columns.controls = self._ports.controls.columns(batch[0].live.bundle)
        walk = Walk(columns, batch[0].live, self._ports, self._budget_s(batch))
        try:
            await decide(walk)
        except Exception as error:
            self._ports.observer.fell_back(walk.stage, type(error).__name__, columns.requests)
            # Nothing of the broken walk was answered: what it claimed is given back before anyone walks again.
            await self._amends.give_back([*walk.claims.values(), *walk.unsure.values()])
            if len(batch) > 1:
                for waiting in batch:
                    await self._walk([waiting], walked)
                return
            try:
                walk = await answer_failed(batch[0].request, batch[0].live, self._ports, now_ms)
            except Exception as again:
                self._finish(batch[0], again)
                return
        self._release(batch, walk)
        walked.append(walk)

    def _release(self, batch: list[Waiting], walk: Walk) -> None:
        call = batch[0].call
        if call is not None and _of_one(batch) and call.put_all(batch[0].place, walk.results):
            under_way = self._under_way
            for waiting in batch:
                # As `_forget`, without a call.
                if waiting.key is not None:
                    del under_way[waiting.key]
                    waiting.key = None
        else:
            for waiting, result in zip(batch, walk.results, strict=True):
                if isinstance(result, Pending):
                    self._spawn(self._settle(waiting, result))
                else:
                    self._finish(waiting, result if result is not None else RuntimeError("a row ended without a result"))
        if walk.unsure or any(walk.forced):
            self._remember(batch, walk)

    def _remember(self, batch: list[Waiting], walk: Walk) -> None:
        """Keep the answers that Redis could not remember, and what they leave to be amended there."""
        now = self._loop.time()
        for row, (waiting, result) in enumerate(zip(batch, walk.results, strict=True)):
            unsure, idempotent = walk.unsure.get(row), waiting.request.idempotent
            if not isinstance(result, bytes):
                continue
            if idempotent and (unsure is not None or walk.forced[row] in _UNREMEMBERED):
                self._memory.put(waiting.request, result, now)
            # A soft choice that stands, and that nobody can retry, keeps what charges it may have.
            if unsure is not None and (idempotent or result != unsure.response):
                self._amends.put(Amendment(unsure, result if idempotent else b""), now)

    async def _ask_reviewers(self, queue: ReviewQueue, asked: list[Asked]) -> None:
        # Nobody waits for it: while the store is away, the next decision for the person asks again.
        with suppress(StoreUnavailable):
            if asked:
                await queue.put(asked)

    async def _settle(self, waiting: Waiting, pending: Pending) -> None:
        try:
            self._finish(waiting, await settle(pending, self._ports))
        except Exception as error:
            self._finish(waiting, error)

    def _finish(self, waiting: Waiting, result: bytes | Exception) -> None:
        self._forget(waiting)
        if waiting.call is not None:
            waiting.call.put(waiting.place, result)
        for caller in waiting.callers:
            if caller.done():
                continue
            if isinstance(result, bytes):
                caller.set_result(result)
            else:
                caller.set_exception(result)

    def _forget(self, waiting: Waiting) -> None:
        if waiting.key is not None:
            del self._under_way[waiting.key]
            waiting.key = None

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = self._loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


_UNREMEMBERED = frozenset({Reason.PROFILE_STORE_UNAVAILABLE, Reason.LOG_UNAVAILABLE, Reason.STAGE_FAILED})


def _of_one(batch: list[Waiting]) -> bool:
    """Say whether a batch holds nothing but requests of one batch call, one after the other, that nobody joined."""
    first, last = batch[0], batch[-1]
    return last.call is first.call and last.place - first.place == len(batch) - 1 and first.call is not None and not first.call.joined
