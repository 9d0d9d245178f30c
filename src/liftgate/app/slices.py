"""Time slices of a thread that works beside the event loop: it lets the interpreter go by itself before the loop has to ask for it."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from time import perf_counter, process_time, sleep
from types import FrameType
from typing import Any

BUSY_S = 0.001
"""How long to work at once. A single call into C is never interrupted."""
REST_S = 0.004
"""How long to rest then."""
BUSY_REST_S = 0.03
"""How long where others of this process worked for half of the rest: what they have no time for waits in a queue, which every slice makes
longer."""
_EVERY = 8
"""Calls and returns from one look at the clock to the next."""


@contextmanager
def sliced(busy_s: float = BUSY_S, rest_s: float = REST_S, busy_rest_s: float = BUSY_REST_S) -> Iterator[None]:
    """Have this thread rest after each slice of work, wherever it is then. No other thread is slowed; this one is about halved."""
    until, left = perf_counter() + busy_s, _EVERY

    def look(frame: FrameType, event: str, arg: Any) -> None:
        nonlocal until, left
        left -= 1
        if left:
            return
        left = _EVERY
        if perf_counter() >= until:
            before_s = process_time()
            sleep(rest_s)
            if process_time() - before_s > rest_s / 2:
                sleep(busy_rest_s - rest_s)
            until = perf_counter() + busy_s

    before = sys.getprofile()
    sys.setprofile(look)
    try:
        yield
    finally:
        sys.setprofile(before)
