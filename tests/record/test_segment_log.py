"""The log adapter: levels, group commit, rotation, neighbours, closing."""

from __future__ import annotations

import asyncio
import os
import threading
from collections import Counter
from pathlib import Path
from typing import ClassVar, Literal

import pytest

from liftgate.adapters.segment_sink import SegmentLog
from liftgate.domain.errors import LogUnavailable
from liftgate.pipeline.ports import Log
from liftgate.record.frame import SegmentReader
from liftgate.record.storage import DiskFile, DiskStorage, SyncFailed

LEVELS: tuple[Literal["write", "fsync", "async"], ...] = ("write", "fsync", "async")


def stored(directory: Path, pattern: str = "*.seg") -> list[bytes]:
    """Payloads of all segments with these names, in order; every segment must be whole and follow the one before."""
    payloads: list[bytes] = []
    for path in sorted(directory.glob(pattern)):
        with path.open("rb") as file:
            reader = SegmentReader(file)
            assert reader.header.first_sequence == len(payloads)
            payloads += [frame.payload for frame in reader]
            assert reader.damage is None
    return payloads


class GatedFile(DiskFile):
    """A real file whose syncs wait at a gate, and fail when told to."""

    gate = threading.Event()
    syncs: ClassVar[Counter[str]] = Counter()
    asked: ClassVar[list[tuple[str, int, int]]] = []
    broken = False

    def begin_sync(self, offset: int, size: int) -> None:
        self.asked.append((threading.current_thread().name, offset, size))
        super().begin_sync(offset, size)

    def sync(self) -> None:
        assert self.gate.wait(30)
        self.syncs["all"] += 1
        if self.broken:
            raise SyncFailed(5, "broken")
        super().sync()


class GatedStorage(DiskStorage):
    """A real directory with gated files."""

    def __init__(self, directory: Path) -> None:
        super().__init__(directory)
        self.kind: type[GatedFile] = type("Gated", (GatedFile,), {"gate": threading.Event(), "syncs": Counter(), "asked": []})
        self.kind.gate.set()

    def create(self, name: str) -> DiskFile:
        made = super().create(name)
        return self.kind(name, made._descriptor)


@pytest.mark.parametrize("level", LEVELS)
async def test_what_was_appended_is_sealed_in_order(tmp_path: Path, level: Literal["write", "fsync", "async"]) -> None:
    """After close every record of every batch is in a sealed segment, in order, once, and counted."""
    log = SegmentLog(tmp_path / "log", "decision", level)
    log.open()
    port: Log = log
    batches = [[os.urandom(50) for _ in range(n)] for n in (1, 32, 3)]
    for batch in batches:
        await port.append(batch)
    await log.close()
    await log.close()
    assert stored(tmp_path / "log") == [record for batch in batches for record in batch]
    assert (log.records_written, dict(log.lost), log.healthy) == (36, {}, False)
    assert log.bytes_written == 36 * (16 + 50)


async def test_write_is_in_the_kernel_before_append_returns(tmp_path: Path) -> None:
    """At level write a record can be read from the open segment as soon as append returns; at level async it cannot."""
    log, lossy = SegmentLog(tmp_path, "decision", "write"), SegmentLog(tmp_path, "event", "async")
    log.open()
    lossy.open()
    await log.append([b"decision"])
    await lossy.append([b"event"])
    assert stored(tmp_path, "decision-*.open") == [b"decision"]
    assert stored(tmp_path, "event-*.open") == []
    await log.close()
    await lossy.close()


async def test_async_flushes_by_timer_and_by_size(tmp_path: Path) -> None:
    """Level async writes after its interval, and at once when a mebibyte has gathered."""
    log = SegmentLog(tmp_path, "decision", "async", flush_interval_s=0.02)
    log.open()
    await log.append([b"soon"])
    for _ in range(500):
        await asyncio.sleep(0.01)
        if log.records_written:
            break
    assert log.records_written == 1
    await log.append([bytes(2**20)])
    assert log.records_written == 2
    await log.close()


async def test_appends_during_a_sync_share_the_next(tmp_path: Path) -> None:
    """Twenty appends that arrive while one sync runs are acknowledged by one more sync."""
    storage = GatedStorage(tmp_path)
    log = SegmentLog(tmp_path, "decision", "fsync", storage=storage)
    log.open()
    storage.kind.gate.clear()
    before = storage.kind.syncs["all"]
    first = asyncio.create_task(log.append([b"first"]))
    await asyncio.sleep(0)
    others = [asyncio.create_task(log.append([b"other"])) for _ in range(20)]
    await asyncio.sleep(0.05)
    assert not any(task.done() for task in (first, *others))
    storage.kind.gate.set()
    await asyncio.gather(first, *others)
    assert storage.kind.syncs["all"] - before == 2
    await log.close()


async def test_a_cancelled_append_changes_nothing_for_its_neighbours(tmp_path: Path) -> None:
    """Callers that give up while a sync runs leave the others acknowledged and every written record in the log."""
    storage = GatedStorage(tmp_path)
    log = SegmentLog(tmp_path, "decision", "fsync", storage=storage)
    log.open()
    storage.kind.gate.clear()
    tasks = [asyncio.create_task(log.append([str(i).encode()])) for i in range(6)]
    await asyncio.sleep(0.02)
    tasks[0].cancel()
    tasks[3].cancel()
    await asyncio.sleep(0)
    storage.kind.gate.set()
    results = await asyncio.gather(*tasks, return_exceptions=True)
    assert [isinstance(result, asyncio.CancelledError) for result in results] == [True, False, False, True, False, False]
    await log.close()
    assert stored(tmp_path) == [str(i).encode() for i in range(6)]


async def test_a_failed_sync_is_for_ever(tmp_path: Path) -> None:
    """After a failed sync everyone who waits is refused, no further sync is tried, and no append succeeds again."""
    storage = GatedStorage(tmp_path)
    log = SegmentLog(tmp_path, "decision", "fsync", storage=storage)
    log.open()
    await log.append([b"kept"])
    storage.kind.gate.clear()
    tasks = [asyncio.create_task(log.append([b"a", b"b"])) for _ in range(3)]
    await asyncio.sleep(0.02)
    storage.kind.broken = True
    storage.kind.gate.set()
    results = await asyncio.gather(*tasks, return_exceptions=True)
    assert all(isinstance(result, LogUnavailable) for result in results)
    tried = storage.kind.syncs["all"]
    storage.kind.broken = False
    with pytest.raises(LogUnavailable):
        await log.append([b"c"])
    await log.close()
    assert storage.kind.syncs["all"] == tried
    assert (log.healthy, log.records_written, dict(log.lost)) == (False, 1, {"sync_error": 6, "failed": 1})


@pytest.mark.parametrize("level", LEVELS)
async def test_rotation_by_size_loses_and_repeats_nothing(tmp_path: Path, level: Literal["write", "fsync", "async"]) -> None:
    """Two appenders at once over many small segments: all records are there once, and sequences run on across segments."""
    log = SegmentLog(tmp_path, "decision", level, segment_bytes=2_000, flush_interval_s=0.001)
    log.open()

    async def appender(name: str) -> None:
        for number in range(150):
            await log.append([f"{name}-{number}-{i}".encode() for i in range(3)])
            await asyncio.sleep(0.0005)

    await asyncio.gather(appender("a"), appender("b"))
    await log.close()
    got = stored(tmp_path)
    assert sorted(got) == sorted(f"{name}-{number}-{i}".encode() for name in "ab" for number in range(150) for i in range(3))
    assert len(list(tmp_path.glob("*.seg"))) >= 3
    assert {path.suffix for path in tmp_path.iterdir()} == {".seg"}


async def test_rotation_by_age_seals_an_idle_segment(tmp_path: Path) -> None:
    """A segment with records is sealed when it is old enough, without a further append."""
    log = SegmentLog(tmp_path, "decision", segment_age_s=0.05)
    log.open()
    await log.append([b"x"])
    for _ in range(500):
        await asyncio.sleep(0.01)
        if list(tmp_path.glob("*.seg")):
            break
    assert stored(tmp_path) == [b"x"]
    await log.append([b"y"])
    await log.close()
    assert stored(tmp_path) == [b"x", b"y"]


async def test_a_sync_that_fails_while_sealing_fails_the_log(tmp_path: Path) -> None:
    """At level write too: when a full segment cannot be synced, the log stops taking records."""
    storage = GatedStorage(tmp_path)
    log = SegmentLog(tmp_path, "decision", "write", segment_bytes=100, storage=storage)
    log.open()
    storage.kind.broken = True
    with pytest.raises(LogUnavailable):  # noqa: PT012 - the append that follows the failed sync
        for _ in range(500):
            await log.append([bytes([1]) * 100])
            await asyncio.sleep(0.005)
    assert not log.healthy
    await log.close()


async def test_async_counts_what_it_drops(tmp_path: Path) -> None:
    """What does not fit the buffer of level async is dropped and counted."""
    log = SegmentLog(tmp_path, "decision", "async", buffer_bytes=100)
    log.open()
    await log.append([bytes(80)])
    await log.append([bytes(80), bytes(80)])
    await log.close()
    assert (log.records_written, dict(log.lost)) == (1, {"buffer_full": 2})


async def test_a_log_that_is_not_open_refuses(tmp_path: Path) -> None:
    """Before open and after close nothing is taken, and the refusal is counted."""
    log = SegmentLog(tmp_path, "decision")
    with pytest.raises(LogUnavailable):
        await log.append([b"x"])
    log.open()
    await log.close()
    with pytest.raises(LogUnavailable):
        await log.append([b"x"])
    assert dict(log.lost) == {"closed": 2}
    assert list(tmp_path.iterdir()) == []


async def test_a_directory_that_cannot_be_made_is_a_dependency_error(tmp_path: Path) -> None:
    """A log whose directory cannot be made says so in the words of its port."""
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(LogUnavailable, match="cannot be opened"):
        SegmentLog(tmp_path / "file" / "log", "decision").open()


async def test_writers_in_one_directory_leave_each_other_alone(tmp_path: Path) -> None:
    """A second worker that starts in the same directory touches nothing of the first, and mends only the dead."""
    first = SegmentLog(tmp_path, "decision")
    first.open()
    await first.append([b"first"])
    second = SegmentLog(tmp_path, "decision")
    assert list(second.open()) == []
    await first.append([b"more"])
    await second.append([b"second"])
    await first.close()
    await second.close()
    payloads = []
    for path in tmp_path.glob("*.seg"):
        with path.open("rb") as file:
            payloads.append([frame.payload for frame in SegmentReader(file)])
    assert sorted(payloads) == [[b"first", b"more"], [b"second"]]


@pytest.mark.parametrize("level", LEVELS)
async def test_a_segment_goes_to_storage_bit_by_bit(tmp_path: Path, level: Literal["write", "fsync", "async"]) -> None:
    """Each further mebibyte is asked for once, in the log's thread and in whole pages that follow one another; level fsync has no need."""
    storage = GatedStorage(tmp_path / "log")
    log = SegmentLog(tmp_path / "log", "decision", level, storage=storage, flush_interval_s=0.001)
    log.open()
    for _ in range(30):
        await log.append([os.urandom(100_000)])
        await asyncio.sleep(0.002)
    await log.close()
    asked = storage.kind.asked
    assert len(stored(tmp_path / "log")) == 30
    assert [offset for _, offset, _ in asked] == [0, *(offset + size for _, offset, size in asked)][:-1]
    assert {name for name, _, _ in asked} == (set() if level == "fsync" else {"liftgate-decision-log"})
    assert all(size >= 2**20 - 2**12 and size % 2**12 == 0 for _, _, size in asked)
    assert len(asked) == 0 if level == "fsync" else 1 <= len(asked) <= 2
