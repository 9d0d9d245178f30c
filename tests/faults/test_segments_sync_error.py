"""A disk that fails to sync: the kernel's answer to fdatasync is replaced from outside the process. Needs strace."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

WRITER = """
import asyncio, sys
from pathlib import Path
from liftgate.adapters.segment_sink import SegmentLog
from liftgate.domain.errors import LogUnavailable

async def main():
    log = SegmentLog(Path(sys.argv[1]), "decision", "fsync")
    log.open()
    for number in range(20):
        try:
            await log.append([b"record %d" % number])
            print("acknowledged", log.healthy)
        except LogUnavailable:
            print("refused", log.healthy)
    await log.close()

asyncio.run(main())
"""


def run_with(directory: Path, inject: str) -> list[str]:
    """Run the writer under strace, and return what it printed."""
    if shutil.which("strace") is None:
        pytest.skip("NOT TESTED: a failing fdatasync needs strace")
    trace = ["strace", "-f", "-qq", "-o", str(directory.parent / "trace"), "-e", "trace=fdatasync"]
    if subprocess.run([*trace, "true"], capture_output=True, check=False).returncode != 0:
        pytest.skip("NOT TESTED: a failing fdatasync needs permission to trace")
    command = [*trace, *(["-e", inject] if inject else []), sys.executable, "-c", WRITER, str(directory)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def test_after_one_failed_sync_nothing_is_acknowledged(tmp_path: Path) -> None:
    """One fdatasync fails with EIO and all later ones would succeed: the log refuses that record and every one after it."""
    lines = run_with(tmp_path / "log", "inject=fdatasync:error=EIO:when=6")
    first = lines.index("refused False")
    assert 1 <= first < 19
    assert lines == ["acknowledged True"] * first + ["refused False"] * (20 - first)
    tried = (tmp_path / "trace").read_text().splitlines()
    failed = next(i for i, line in enumerate(tried) if "EIO" in line)
    assert not [line for line in tried[failed + 1 :] if "fdatasync(" in line]


def test_without_the_fault_everything_is_acknowledged(tmp_path: Path) -> None:
    """The control arm: the same writer under the same tracer, with no fault, is never refused."""
    assert run_with(tmp_path / "log", "") == ["acknowledged True"] * 20
