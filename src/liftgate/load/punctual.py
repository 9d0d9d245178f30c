"""Sending on time beside other work on the same core, where the kernel allows it."""

from __future__ import annotations

import os

from liftgate.load.connections import Connections

_EARLY_NS = 20_000
"""Real-time sleeps end within this: the last stretch is polled. Polling for longer would keep the core from everybody else."""
_PRIORITY = 10


def ask(connections: Connections) -> bool:
    """Ask for real-time priority (SCHED_FIFO) for this thread and say whether it was given (it takes root or CAP_SYS_NICE).

    With it a request is sent within tens of microseconds of being due even where others use the core, and the core is free in between.
    """
    try:
        os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(_PRIORITY))
    except (AttributeError, OSError):
        return False
    connections.early_ns = _EARLY_NS
    return True
