"""Gathering: where a transport hands requests over one by one, a batch waits while turns of the loop go on bringing more. Never a timer."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable

_give_way: Callable[[], None] = getattr(os, "sched_yield", lambda: None)
"""Lets the transport's own thread run, which may share this core."""


async def gathered(waiting: Callable[[], int], full: int, turns: int) -> None:
    """Return after so many turns of the loop in a row without another request, or once as many as `full` wait. 0 turns: at once."""
    seen, left = 0, turns
    while left and (found := waiting()) < full:
        _give_way()
        left, seen = (turns if found > seen else left - 1), found
        await asyncio.sleep(0)
