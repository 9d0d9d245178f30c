"""The decision and event logs on disk: `pipeline.ports.Log` over the segments of `record/segment.py`."""

from __future__ import annotations

import asyncio
import errno
import os
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Literal

from liftgate.adapters.log_thread import LogThread
from liftgate.domain.errors import LogUnavailable
from liftgate.record.frame import MAX_PAYLOAD, Stream
from liftgate.record.segment import Recovered, SegmentSeries, SegmentWriter, boot_id, recover
from liftgate.record.storage import DiskStorage, LogFile, Storage, SyncFailed

Level = Literal["write", "fsync", "async"]

_RETRY_S = 0.25
"""Pause before trying again to make a segment after it could not be made."""
_FLUSH_BYTES = 2**20
"""Level async: flush when so much has gathered, so that no flush holds up the event loop for long."""

_ASK_BYTES, _PAGE_BYTES = 2**20, 2**12
"""Storage is asked for so much at once, in whole pages: a third of a millisecond of the log's thread."""
ROOM_BYTES = 1 << 20
"""Free space at which a log that met a full disk counts as writable again."""


class SegmentLog:
    """A log in one directory, written by this process alone; other processes write their own segments beside it.

    `write`: in the kernel before `append` returns; survives the process, not the machine. `fsync`: on stable storage
    before `append` returns; appends that arrive while a sync runs share the next. `async`: returns at once and writes
    by a timer; loses what has gathered when the process dies.

    Writes happen on the event loop (a few microseconds), syncs, new segments and sealing in one thread. Open it in the
    process that writes, never before a fork. Not thread-safe: one event loop.
    """

    def __init__(
        self,
        directory: Path,
        stream: str,
        level: Level = "write",
        *,
        segment_bytes: int = 64 * 2**20,
        segment_age_s: float = 600.0,
        flush_interval_s: float = 0.2,
        buffer_bytes: int = 64 * 2**20,
        now_ms: Callable[[], int] = lambda: time.time_ns() // 1_000_000,
        storage: Storage | None = None,
    ) -> None:
        """`stream` is `decision`, `event` or `audit`. `buffer_bytes` bounds what level async holds while the disk is full."""
        self._directory = directory
        self._stream = Stream[stream.upper()]
        self._level = level
        self._segment_bytes, self._segment_age_s = segment_bytes, segment_age_s
        self._flush_interval_s, self._buffer_bytes = flush_interval_s, buffer_bytes
        self._now_ms = now_ms
        self._storage = storage
        self._series: SegmentSeries
        self._writer: SegmentWriter | None = None
        self._thread: LogThread | None = None
        self._preparing = self._syncing = self._closed = self._failed = False
        self._prepare_after = 0.0
        self._waiting: list[tuple[asyncio.Future[None], int]] = []
        self._buffer: list[bytes] = []
        self._buffered = 0
        self._timers: dict[str, asyncio.TimerHandle] = {}
        self._lost: Counter[str] = Counter()
        self.bytes_written = 0
        """Bytes of frames handed to the kernel."""
        self.records_written = 0
        """Records as durable as the level promises (async: handed to the kernel)."""
        self._refused = False
        self.seal_failures = 0
        """Segments that could not be sealed; the next start does it."""
        self.recovered: Sequence[Recovered] = ()
        """What `open` found of dead writers, one entry a file."""

    @property
    def lost(self) -> Mapping[str, int]:
        """Records that are not in the log, by cause: disk_full, write_error, sync_error, failed, closed, buffer_full."""
        return self._lost

    @property
    def writer_id(self) -> bytes:
        """16 bytes that name this writer in every segment's header; known once the log is open."""
        return self._series.writer_id

    @property
    def next_sequence(self) -> int:
        """Of the next record, 0 before `open`. It moves on also where a failed append may have left records behind."""
        return self._writer.next_sequence if self._writer is not None else 0

    @property
    def healthy(self) -> bool:
        """False before `open`, after `close`, and for ever after a failed sync: stop serving and exit."""
        return self._writer is not None and not self._failed and not self._closed

    def writable(self) -> bool:
        """Return whether the next append may succeed: False after a failed write until there is room for a few batches again."""
        if self._refused and self._room() > ROOM_BYTES:
            self._refused = False
        return self.healthy and not self._refused

    def _room(self) -> int:
        try:
            found = os.statvfs(self._directory)
        except OSError:
            return 0
        return found.f_bavail * found.f_frsize

    @property
    def quarantined_bytes(self) -> int:
        """Bytes that `open` moved to `.bad` files."""
        return sum(found.damage.size for found in self.recovered if found.damage)

    def open(self) -> Sequence[Recovered]:
        """Mend what dead writers left, start the first segment, and return what was found. Raises LogUnavailable."""
        try:
            storage = self._storage or DiskStorage(self._directory)
            self.recovered = recover(storage)
            self._series = SegmentSeries(storage, self._stream, os.urandom(16), boot_id())
            now_ms = self._now_ms()
            file = self._series.prepare(now_ms)
            try:
                writer = self._series.begin(file, 0, now_ms)
                writer.sync()
            except OSError:
                self._series.discard(file)
                raise
        except OSError as cause:
            raise LogUnavailable(f"the {self._stream.label} log cannot be opened: {_why(cause)}") from cause
        self._writer = writer
        self._thread = LogThread(f"liftgate-{self._stream.label}-log")
        return self.recovered

    async def append(self, records: Sequence[bytes]) -> None:
        """See `pipeline.ports.Log`. Level async returns at once and never raises for what it drops; see `lost`.

        Raises ValueError for a record that is empty or longer than 16 MiB.
        """
        if self._writer is None or self._closed or self._failed:
            state = "failed" if self._failed else "closed"
            self._lost[state] += len(records)
            raise LogUnavailable(f"the {self._stream.label} log is {state}")
        if not records:
            return
        if self._level == "async":
            self._gather(records)
            return
        self._write(self._writer, records)
        if self._level == "fsync":
            waiter = asyncio.get_running_loop().create_future()
            self._waiting.append((waiter, len(records)))
            if not self._syncing:
                self._sync()
            await waiter
        else:
            self.records_written += len(records)

    async def close(self) -> None:
        """Write what has gathered, wait for syncs, seal. Idempotent. Raises LogUnavailable when the last seal fails."""
        closed, self._closed = self._closed, True
        if closed or self._writer is None or self._thread is None:
            return
        self._flush()
        if self._buffer:
            self._lost["closed"] += len(self._buffer)
        for name in tuple(self._timers):
            self._cancel(name)
        causes: list[BaseException | None] = []
        try:
            await self._thread.idle()
            if self._failed:
                self._writer.abandon()  # syncing again would prove nothing
            else:
                self._run(self._writer.seal, causes.append)
                await self._thread.idle()
        finally:
            self._thread.stop()
        for cause in causes:
            if isinstance(cause, OSError):
                self._failed = self._failed or isinstance(cause, SyncFailed)
                self.seal_failures += 1
                raise LogUnavailable(f"the {self._stream.label} log cannot be sealed: {_why(cause)}") from cause
            if cause is not None:
                raise cause

    def _write(self, writer: SegmentWriter, records: Sequence[bytes]) -> None:
        self._rotate_if_due(writer)
        try:
            self.bytes_written += writer.append(records)
            self._refused = False
            if self._level != "fsync" and writer.size - writer.asked >= _ASK_BYTES:
                self._begin_sync(writer)
        except OSError as cause:
            self._refused = True
            if self._level != "async":  # async keeps them and tries again
                self._lost["disk_full" if cause.errno in (errno.ENOSPC, errno.EDQUOT) else "write_error"] += len(records)
            raise LogUnavailable(f"the {self._stream.label} log cannot be written: {_why(cause)}") from cause

    def _begin_sync(self, writer: SegmentWriter) -> None:
        """Have what was written go to stable storage bit by bit: the sync of a whole segment holds up whoever shares its processor."""
        begin, writer.asked = writer.asked, writer.size & -_PAGE_BYTES
        self._run(partial(writer.begin_sync, begin, writer.asked - begin), lambda cause: None)

    # Level fsync: at most one sync runs; whoever wrote before it began shares it.

    def _sync(self) -> None:
        assert self._writer is not None
        self._syncing = True
        sharing, self._waiting = self._waiting, []

        def ended(cause: BaseException | None) -> None:
            self._syncing = False
            if cause is not None or self._failed:
                self._fail(sharing)
                return
            for waiter, count in sharing:
                self.records_written += count
                if not waiter.done():  # its caller may have been cancelled
                    waiter.set_result(None)
            if self._waiting:
                self._sync()

        self._run(self._writer.sync, ended)

    def _fail(self, sharing: Sequence[tuple[asyncio.Future[None], int]] = ()) -> None:
        self._failed = True
        for waiter, count in (*sharing, *self._waiting):
            self._lost["sync_error"] += count
            if not waiter.done():
                waiter.set_exception(LogUnavailable(f"the {self._stream.label} log cannot be synced"))
        self._waiting = []

    def _gather(self, records: Sequence[bytes]) -> None:
        size = sum(map(len, records))
        if not 0 < min(map(len, records)) <= max(map(len, records)) <= MAX_PAYLOAD:
            raise ValueError(f"a record has 1 to {MAX_PAYLOAD} bytes")
        if self._buffered + size > self._buffer_bytes:
            self._lost["buffer_full"] += len(records)
            return
        self._buffer += records
        self._buffered += size
        if self._buffered >= _FLUSH_BYTES and self._buffered - size < _FLUSH_BYTES:
            self._flush()
        elif "flush" not in self._timers:
            self._call_later("flush", self._flush_interval_s, self._flush)

    def _flush(self) -> None:
        self._cancel("flush")
        if not self._buffer or self._writer is None or self._failed:
            return
        try:
            self._write(self._writer, self._buffer)
        except LogUnavailable:
            self._call_later("flush", self._flush_interval_s, self._flush)
            return
        self.records_written += len(self._buffer)
        self._buffer, self._buffered = [], 0

    # Rotation: the next segment is made in the thread while appends go on, then swapped in on the event loop.

    def _rotate_if_due(self, writer: SegmentWriter) -> None:
        if "age" not in self._timers:
            self._call_later("age", self._segment_age_s, self._prepare)
        if writer.torn or writer.size >= self._segment_bytes:
            self._prepare()

    def _prepare(self) -> None:
        if self._preparing or self._closed or self._failed or time.monotonic() < self._prepare_after:
            return
        self._preparing = True
        made: list[LogFile] = []

        def ended(cause: BaseException | None) -> None:
            self._preparing = False
            if cause is None:
                self._swap(made[0])
            elif isinstance(cause, SyncFailed):
                self._fail()
            else:
                self._prepare_later()

        self._run(lambda: made.append(self._series.prepare(self._now_ms())), ended)

    def _prepare_later(self) -> None:
        self._prepare_after = time.monotonic() + _RETRY_S
        self._call_later("age", 2 * _RETRY_S, self._prepare)

    def _swap(self, file: LogFile) -> None:
        before = self._writer
        assert before is not None
        if self._closed or self._failed:
            self._series.discard(file)
            return
        try:
            self._writer = self._series.begin(file, before.next_sequence, self._now_ms())
        except OSError:
            self._series.discard(file)
            self._prepare_later()
            return
        self._cancel("age")
        # One thread, first in first out: a sync that begins from now on ends after the old segment is synced by its sealing.
        self._run(before.seal, self._sealed)
        self._run(self._writer.sync, self._sealed)

    def _sealed(self, cause: BaseException | None) -> None:
        if isinstance(cause, SyncFailed):
            self._fail()
        elif cause is not None:
            self.seal_failures += 1

    def _call_later(self, name: str, delay_s: float, call: Callable[[], None]) -> None:
        self._cancel(name)
        self._timers[name] = asyncio.get_running_loop().call_later(delay_s, call)

    def _cancel(self, name: str) -> None:
        if (timer := self._timers.pop(name, None)) is not None:
            timer.cancel()

    def _run(self, job: Callable[[], object], ended: Callable[[BaseException | None], None]) -> None:
        """Run in the thread, then call `ended` on the event loop with the error, if any."""
        assert self._thread is not None
        self._thread.run(job, ended)


def _why(cause: OSError) -> str:
    return os.strerror(cause.errno) if cause.errno else "error"
