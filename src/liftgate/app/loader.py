"""A process that loads beside a serving one: `python -m liftgate.app.loader FD`, started by `app/aside.py`.

Reads one line of JSON, the files, from its standard input, writes what it found to the file descriptor, and ends. Whoever gives the order
may have put it into spare time before; otherwise it steps back by itself. It is the first to go when memory runs out, and it ends when the
server that started it does.
"""

from __future__ import annotations

import gc
import json
import os
import sys
import threading
from contextlib import suppress

NICE = 5
"""Steps behind the server: beside one that wants a whole core it still gets a quarter of it."""
CROWDED = 1.5
"""Processes that want to run, for each processor of the machine. Where there are more, time that the loader leaves goes to strangers and
not to the server, and it would wait for minutes: it stays abreast."""
_OOM_SCORE = "500"
"""Of 1,000: the kernel ends it before it ends the server."""


def main(arguments: list[str]) -> int:
    """Load, hand over, and return the exit code."""
    order = _order()
    _step_back()
    threading.Thread(target=_leave_with_the_server, daemon=True).start()
    # From here on at low priority: imports are half of the work.
    from liftgate.adapters.operators import Operators
    from liftgate.app.handover import Handed, pack
    from liftgate.app.loading import Files, found, load_at_rest

    # It does not live long enough to be worth collecting.
    gc.disable()
    files = Files.read(json.loads(order))
    try:
        read = found(lambda: load_at_rest(files), lambda: Operators(files.operators).known)
        handed = Handed(None if read.loaded is None else read.loaded.bundle, read.known, read.mistakes)
    except Exception as err:  # its text may quote anything, so only its class and place are told
        from liftgate.app.logging import where

        handed = Handed(None, None, cause=f"{type(err).__name__} at {where(err)}")
    with open(int(arguments[0]), "wb") as out:
        out.write(pack(handed))
    return 0


def _step_back() -> None:
    with suppress(OSError):
        if os.sched_getscheduler(0) != os.SCHED_IDLE and os.getloadavg()[0] <= CROWDED * (os.cpu_count() or 1):
            os.nice(NICE)
    with suppress(OSError), open("/proc/self/oom_score_adj", "w") as score:
        score.write(_OOM_SCORE)


def _order() -> bytes:
    line = b""
    while not line.endswith(b"\n"):
        some = os.read(0, 1 << 16)
        if not some:
            os._exit(1)  # the server is gone
        line += some
    return line


def _leave_with_the_server() -> None:
    while os.read(0, 1):
        pass
    os._exit(1)


if __name__ == "__main__":
    code = main(sys.argv[1:])
    # Nothing is left to tidy up, and taking everything apart takes as long as making it.
    os._exit(code)
