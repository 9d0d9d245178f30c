"""The machine's clock and identities: where time and fresh ids come from."""

from __future__ import annotations

import os
import time

_TAIL_BITS = 74
_TAIL_MASK = (1 << _TAIL_BITS) - 1
_VARIANT = 0b10 << 62
_VERSION = 7 << 76


class SystemClock:
    """`ports.Clock` on the machine's wall clock."""

    def now_ms(self) -> int:
        """Return milliseconds since the Unix epoch."""
        return time.time_ns() // 1_000_000


class TimeOrderedIds:
    """`ports.Ids`: UUID version 7. Within one millisecond, and when the clock steps back, ids of one process go on rising."""

    __slots__ = ("_last_ms", "_tail")

    def __init__(self) -> None:
        self._last_ms = -1
        self._tail = 0

    def decision_id(self) -> str:
        """Return 32 hexadecimal digits, unique and ordered by time."""
        ms = time.time_ns() // 1_000_000
        if ms > self._last_ms:
            self._last_ms = ms
            # The top bit stays free, so that a millisecond has room to rise.
            self._tail = int.from_bytes(os.urandom(10), "little") & (_TAIL_MASK >> 1)
        else:
            ms = self._last_ms
            self._tail += 1
        tail = self._tail
        return f"{ms << 80 | _VERSION | (tail >> 62) << 64 | _VARIANT | tail & 0x3FFFFFFFFFFFFFFF:032x}"
