"""Giving memory back: pages that the C library keeps though nothing lies in them go to the system, seldom and beside the loop (ADR 0043).

What waits for an answer lies in memory of the C library's, and much waits when a machine stands still. Afterwards the library has most of
it free, between what is still in use, and keeps it: a server held what its worst second had needed, and a little more after each.
"""

from __future__ import annotations

import asyncio
import ctypes
import os
from collections.abc import Callable
from pathlib import Path
from time import monotonic

LOOK_S = 5.0
REST_S = 60.0
"""How long after one time until the next, whatever grows."""
RISE = 4 << 20
"""Bytes more than there were at least."""
_STATM = Path("/proc/self/statm")
_PAGE = os.sysconf("SC_PAGE_SIZE") if hasattr(os, "sysconf") else 0
_malloc_trim = getattr(ctypes.CDLL(None), "malloc_trim", None) if os.name == "posix" else None
if _malloc_trim is not None:
    _malloc_trim.argtypes, _malloc_trim.restype = [ctypes.c_size_t], ctypes.c_int


def give_back() -> None:
    """Have the C library give back what it has free, where it can: glibc. Milliseconds, without the interpreter; from any thread."""
    if _malloc_trim is not None:
        _malloc_trim(0)


def held() -> int:
    """Return the bytes of this process that lie in memory and in no file. Raises OSError where the system does not say."""
    resident, of_files = _STATM.read_bytes().split()[1:3]
    return (int(resident) - int(of_files)) * _PAGE


class Level:
    """What there was at least, and whether there is so much more that giving back is worth its while."""

    def __init__(self, now_s: float, held: int) -> None:
        """`now_s` is of a clock that never goes back, `held` bytes."""
        self._least, self._again_s = held, now_s + REST_S

    def risen(self, now_s: float, held: int) -> bool:
        """Look."""
        self._least = min(self._least, held)
        return now_s >= self._again_s and held >= self._least + RISE

    def given_back(self, now_s: float, held: int) -> None:
        """Go by what is left: it is in use."""
        self._least, self._again_s = held, now_s + REST_S


async def watch(look: Callable[[], int] = held, give: Callable[[], None] = give_back, clock: Callable[[], float] = monotonic) -> None:
    """Give back whenever memory has risen. Runs until cancelled; ends where the system says nothing of memory."""
    try:
        level = Level(clock(), look())
        while True:
            await asyncio.sleep(LOOK_S)
            if level.risen(clock(), look()):
                await asyncio.to_thread(give)
                level.given_back(clock(), look())
    except OSError:
        return
