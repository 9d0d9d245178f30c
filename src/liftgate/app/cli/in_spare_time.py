"""A command that runs itself in spare time: in a process of its own, so that it can be done otherwise where there is none."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from time import monotonic

from liftgate.app.spare_time import Hunger, step_into

STARVED_S = 10.0
"""Longer than a reload waits: nobody does."""
LAST = 19
"""Steps behind everything else of the usual class: what is left where there is no spare time."""
_LOOK_S = 0.25


def in_spare_time(arguments: Sequence[str], starved_s: float = STARVED_S) -> int | None:
    """Run `liftgate` with these arguments in spare time and return its exit code.

    None: it got none for so long, or the kernel has no such class, and was ended; this process is at the end of the line now, and is to
    do the work itself. For commands that are safe to interrupt and to repeat.
    """
    process = subprocess.Popen([sys.executable, "-P", "-m", "liftgate.app.cli.main", *arguments])  # noqa: S603  # this program
    try:
        if step_into(process.pid):
            hunger = Hunger(process.pid, starved_s)
            while True:
                try:
                    return process.wait(timeout=_LOOK_S)
                except subprocess.TimeoutExpired:
                    if hunger.starved(monotonic()):
                        break
    finally:
        process.kill()
        process.wait()
    os.nice(LAST)
    return None
