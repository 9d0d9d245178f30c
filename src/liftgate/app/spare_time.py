"""Spare time: a process that runs only while nothing else wants its processor, and how to tell that there is too little of it.

Linux calls the class SCHED_IDLE. Whatever of the usual class wakes up takes the processor at once, where a process of the usual class,
however low its priority, first ends its slice (milliseconds), and has a share besides. A process without privileges stays in the class.
"""

from __future__ import annotations

import os
from collections import deque
from pathlib import Path

STARVED_S = 1.5
"""A process that wants to run for as long and gets next to nothing will not end by itself."""
STARVED_SHARE = 0.05
"""Of one processor: next to nothing. Beside one that never sleeps the class leaves 0.003."""
_TICKS_S = 1 / os.sysconf("SC_CLK_TCK")


def step_into(pid: int = 0) -> bool:
    """Have a process (0: this thread, and the threads that it starts from now on) run in spare time only; False: it cannot be had here."""
    try:
        os.sched_setscheduler(pid, os.SCHED_IDLE, os.sched_param(0))
    except OSError:
        return False
    return True


class Hunger:
    """Looks at a process again and again, and says when it is starved. One that waits for a disk, or was stopped, wants no processor."""

    def __init__(self, pid: int, starved_s: float = STARVED_S, share: float = STARVED_SHARE) -> None:
        """`share`: of one processor; who has less for so long (s) is starved."""
        self._pid, self._starved_s, self._share = pid, starved_s, share
        self._looks: deque[tuple[float, float]] = deque()
        """Since it last did not want to run, the newest `starved_s`: when (s), its processor time until then (s)."""

    def forget(self) -> None:
        """Go by nothing that was seen until now."""
        self._looks.clear()

    def starved(self, now_s: float) -> bool:
        """Look, at a time of a clock that never goes back. To be called several times in `starved_s`."""
        try:
            # Behind the name, which may hold anything: state, and further on user and system time.
            fields = Path(f"/proc/{self._pid}/stat").read_bytes().rpartition(b")")[2].split()
        except OSError:  # it is gone
            return False
        if fields[0] != b"R":
            self._looks.clear()
            return False
        cpu_s = (int(fields[11]) + int(fields[12])) * _TICKS_S
        self._looks.append((now_s, cpu_s))
        while len(self._looks) > 1 and now_s - self._looks[1][0] >= self._starved_s:
            self._looks.popleft()
        since_s, before_s = self._looks[0]
        return now_s - since_s >= self._starved_s and cpu_s - before_s < self._share * (now_s - since_s)
