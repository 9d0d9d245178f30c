"""A world is walked in parts, each by whichever process is free: the processes of one session share the work and then the log."""

from __future__ import annotations

import asyncio
import fcntl
import shutil
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import IO

from tests.loop.ledger import progress

Walker = Callable[[Path, range], Awaitable[object]]
"""Walks these runs and writes their log to a folder that it makes."""
RUNS_A_PART = 50


def walked(name: str, walker: Walker, folder: Path, runs: int) -> Path:
    """Return the log of a world of this many runs, once it is whole. Other processes that ask for it walk parts of it meanwhile."""
    folder.mkdir(exist_ok=True)
    log = folder / "log"
    log.mkdir(exist_ok=True)
    size = min(RUNS_A_PART, -(-runs // 2))
    parts = [range(first, min(first + size, runs)) for first in range(0, runs, size)]
    for wait in (False, True):
        # What others hold is passed over first; in the end all must be there, and whoever's process died is stood in for.
        for part in parts:
            done = folder / f"done-{part.start}"
            if done.exists():
                continue
            with (folder / f"lock-{part.start}").open("w") as lock:
                if not _locked(lock, wait) or done.exists():
                    continue
                aside = folder / f"part-{part.start}"
                shutil.rmtree(aside, ignore_errors=True)
                asyncio.run(_walk(walker, aside, part))
                _merge(aside, log)
                done.touch()
            progress(f"{name}: walked {sum((folder / f'done-{one.start}').exists() * len(one) for one in parts)} of {runs} runs")
    return log


async def _walk(walker: Walker, folder: Path, part: range) -> None:
    await walker(folder, part)


def _locked(lock: IO[str], wait: bool) -> bool:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
    except BlockingIOError:
        return False
    return True


def _merge(part: Path, log: Path) -> None:
    """Move the files of one writer into the log that all writers share."""
    for path in sorted(part.rglob("*")):
        target = log / path.relative_to(part)
        if path.is_dir():
            target.mkdir(exist_ok=True)
        elif not target.exists():
            path.rename(target)
