"""A full disk: a real one-megabyte file system. Needs root and mount."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import pytest

from liftgate.adapters.segment_sink import ROOM_BYTES, SegmentLog
from liftgate.domain.errors import LogUnavailable
from liftgate.record.frame import SegmentReader, encode_frames


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A tmpfs of 1 MB with 300 kB taken by a file that can be removed."""
    disk = tmp_path / "disk"
    disk.mkdir()
    if os.geteuid() != 0:
        pytest.skip("NOT TESTED: disk full needs root to mount a small tmpfs")
    mount = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(disk)], capture_output=True, text=True, check=False)
    if mount.returncode != 0:
        pytest.skip(f"NOT TESTED: disk full needs permission to mount a small tmpfs: {mount.stderr.strip()}")
    try:
        (disk / "filler").write_bytes(bytes(300_000))
        yield disk
    finally:
        subprocess.run(["umount", "-l", str(disk)], check=True)


def stored(disk: Path, pattern: str) -> list[bytes]:
    """Payloads of the segments; all must be whole."""
    payloads: list[bytes] = []
    for path in sorted(disk.glob(pattern)):
        with path.open("rb") as file:
            reader = SegmentReader(file)
            payloads += [frame.payload for frame in reader]
            assert reader.damage is None
    return payloads


@pytest.mark.parametrize("level", ["write", "fsync"])
async def test_a_full_disk_refuses_whole_batches_and_recovers(small_disk: Path, level: Literal["write", "fsync"]) -> None:
    """Full: the batch is refused and counted, no torn frame stays. Room again: appends succeed. Nothing acknowledged is missing."""
    log = SegmentLog(small_disk, "decision", level)
    log.open()
    acknowledged: list[bytes] = []
    refused = 0
    for number in range(60):
        batch = [f"{number}-{i}-".encode() + bytes([number + 1]) * 2_000 for i in range(16)]
        try:
            await log.append(batch)
            acknowledged += batch
        except LogUnavailable:
            refused += len(batch)
            assert log.writable() is (log._room() > ROOM_BYTES)
            assert stored(small_disk, "*.open") == acknowledged
            if refused == 80:
                (small_disk / "filler").unlink()
    assert refused >= 80
    assert len(acknowledged) > 160
    assert log.lost == {"disk_full": refused}
    assert log.healthy
    assert log.records_written == len(acknowledged)
    await log.close()
    assert stored(small_disk, "*.seg") == acknowledged


async def test_async_keeps_what_does_not_fit_until_there_is_room(small_disk: Path) -> None:
    """Level async holds what a full disk refuses and writes it when there is room."""
    log = SegmentLog(small_disk, "decision", "async", flush_interval_s=60)
    log.open()
    await log.append([bytes([1]) * 200_000 for _ in range(4)])
    log._flush()
    assert log.records_written == 0
    assert stored(small_disk, "*.open") == []
    (small_disk / "filler").unlink()
    await log.close()
    assert (log.records_written, dict(log.lost)) == (4, {})


async def test_async_counts_what_a_full_disk_costs_in_the_end(small_disk: Path) -> None:
    """What level async still cannot write at close is lost and counted."""
    log = SegmentLog(small_disk, "decision", "async")
    log.open()
    await log.append([bytes([1]) * 200_000 for _ in range(4)])
    await log.close()
    assert (log.records_written, dict(log.lost)) == (0, {"closed": 4})


def test_the_harness_tears_a_careless_write(small_disk: Path) -> None:
    """The control arm: a writer that ignores short writes leaves a torn frame on this disk."""
    frames = encode_frames([bytes([1]) * 2_000 for _ in range(19)], 0)
    descriptor = os.open(small_disk / "careless", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    try:
        taken = [os.write(descriptor, frames) for _ in range(40) if os.statvfs(small_disk).f_bavail]
    finally:
        os.close(descriptor)
    assert any(count < len(frames) for count in taken)
