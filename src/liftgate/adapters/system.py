"""The machine's clock and identities: where time and fresh ids come from."""

from __future__ import annotations

import os
import time

_TAIL_BITS = 74
_TAIL_MASK = (1 << _TAIL_BITS) - 1
_LOW_BITS = 62
_LOW_MASK = (1 << _LOW_BITS) - 1
_VARIANT = 0b10 << _LOW_BITS
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
        return self.decision_ids(1)[0]

    def decision_ids(self, count: int) -> list[str]:
        """Return so many, one or more, in order and of one millisecond."""
        ms = time.time_ns() // 1_000_000
        if ms > self._last_ms:
            self._last_ms = ms
            # The top bit stays free, so that a millisecond has room to rise.
            self._tail = int.from_bytes(os.urandom(10), "little") & (_TAIL_MASK >> 1)
        else:
            ms = self._last_ms
            self._tail += 1
        first = self._tail
        self._tail += count - 1
        if first >> _LOW_BITS == self._tail >> _LOW_BITS:
            # As nearly always: the first half is the same in all.
            ahead, low = f"{ms << 16 | _VERSION >> 64 | first >> _LOW_BITS:016x}", _VARIANT | first & _LOW_MASK
            return [f"{ahead}{own:016x}" for own in range(low, low + count)]
        above = ms << 80 | _VERSION | _VARIANT
        return [f"{above | (tail >> _LOW_BITS) << 64 | tail & _LOW_MASK:032x}" for tail in range(first, first + count)]
