"""One thread for a log's syncs and renames. An executor's futures would cost twice as much a job, and at level fsync every batch is one."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from queue import SimpleQueue
from threading import Thread

Job = Callable[[], object]
Ended = Callable[[BaseException | None], None]
"""Called on the event loop with a job's error; None: it went well."""


class LogThread:
    """Runs jobs one after the other, first in first out. `run`, `ended` and `join` belong to one event loop."""

    def __init__(self, name: str) -> None:
        self._queue: SimpleQueue[tuple[Job, Ended] | None] = SimpleQueue()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._left = 0
        self._idle: asyncio.Future[None] | None = None
        # A daemon: what has not been synced when the process ends was promised to nobody.
        self._thread = Thread(target=self._work, name=name, daemon=True)
        self._thread.start()

    def run(self, job: Job, ended: Ended) -> None:
        """Run a job in the thread; its end is told on the event loop that asks."""
        if self._loop is None:
            self._loop = asyncio.get_running_loop()
        self._left += 1
        self._queue.put((job, ended))

    async def idle(self) -> None:
        """Return when every job has ended, those included that are asked for meanwhile."""
        while self._left:
            if self._idle is None:
                self._idle = asyncio.get_running_loop().create_future()
            await asyncio.shield(self._idle)

    def stop(self) -> None:
        """End the thread after the jobs that it has. Idempotent."""
        self._queue.put(None)

    def _work(self) -> None:
        while (item := self._queue.get()) is not None:
            job, ended = item
            cause: BaseException | None = None
            try:
                job()
            except BaseException as error:
                cause = error
            assert self._loop is not None
            try:
                self._loop.call_soon_threadsafe(self._tell, ended, cause)
            except RuntimeError:  # the loop was closed: nobody waits any more
                return
            del job, ended, item, cause

    def _tell(self, ended: Ended, cause: BaseException | None) -> None:
        self._left -= 1
        try:
            ended(cause)
        finally:
            if not self._left and self._idle is not None:
                idle, self._idle = self._idle, None
                idle.set_result(None)
