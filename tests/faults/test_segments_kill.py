"""kill -9: what was acknowledged is in the log, whatever the moment."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import pytest

from liftgate.record.frame import SegmentReader
from liftgate.record.segment import recover
from liftgate.record.storage import DiskStorage

WRITER = """
import asyncio, os, sys
from pathlib import Path
from liftgate.adapters.segment_sink import SegmentLog

async def main():
    log = SegmentLog(Path(sys.argv[1]), "decision", sys.argv[2], segment_bytes=50_000)
    log.open()
    number = 0
    while True:
        await log.append([b"%012d" % (number + i) for i in range(8)])
        number += 8
        os.write(1, b"%012d\\n" % number)
        await asyncio.sleep(0)

asyncio.run(main())
"""


def acknowledged_and_stored(directory: Path, level: str, run_s: float) -> tuple[int, set[int]]:
    """Kill a writer after `run_s` seconds of work; return how many records it acknowledged and which are in the log."""
    writer = subprocess.Popen([sys.executable, "-c", WRITER, str(directory), level], stdout=subprocess.PIPE)
    assert writer.stdout is not None
    try:
        output = writer.stdout.read(13)
        deadline = time.monotonic() + run_s
        while time.monotonic() < deadline:  # keep the pipe from filling up
            output += writer.stdout.read(13 * 8)
    finally:
        writer.kill()
        output += writer.stdout.read()
        writer.stdout.close()
        assert writer.wait() == -9
    assert not [outcome for outcome in recover(DiskStorage(directory)) if outcome.error]
    found: set[int] = set()
    for path in directory.glob("*.seg"):
        with path.open("rb") as file:
            reader = SegmentReader(file)
            found |= {int(frame.payload) for frame in reader}
            assert reader.damage is None
    return int(output.splitlines()[-1]), found


@pytest.mark.parametrize("level", ["write", "fsync"])
def test_kill_loses_no_acknowledged_record(tmp_path: Path, level: str) -> None:
    """Killed at several moments, amid rotations, a writer at level write or fsync has every acknowledged record in the log."""
    for number, run_s in enumerate((0.05, 0.17, 0.33)):
        acknowledged, found = acknowledged_and_stored(tmp_path / str(number), level, run_s)
        assert acknowledged > 0
        assert set(range(acknowledged)) <= found


def test_the_harness_sees_a_loss(tmp_path: Path) -> None:
    """The control arm: level async loses acknowledged records in the same test."""
    acknowledged, found = acknowledged_and_stored(tmp_path, "async", 0.3)
    assert not set(range(acknowledged)) <= found
