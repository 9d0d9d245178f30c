"""Ports for what tests start: each is one test process's alone, from when it is named until long after whatever listens there has begun.

A port that was only free a moment ago can be anybody's by the time a server has loaded its modules.
"""

from __future__ import annotations

import os
import socket
from collections import deque
from contextlib import closing
from itertools import count
from pathlib import Path

_RANGE = Path("/proc/sys/net/ipv4/ip_local_port_range")
_FIRST, _LAST, _ENOUGH = 10_000, 60_000, 1_000
_KEPT = 256
"""Ports that a process keeps to itself; the oldest are given back first."""
_next = count(os.getpid() * 97)
_mine: deque[socket.socket] = deque(maxlen=_KEPT)


def free_port() -> int:
    """Return a loopback port that nobody listens on and that no other call of this function, in any process, has been given."""
    ports = _ports()
    for turn in _next:
        port = ports[turn % len(ports)]
        claim = socket.socket(socket.AF_UNIX)
        try:
            # A name that ends with the process and is seen by all that share these ports.
            claim.bind(f"\0liftgate-test-port-{port}")
            with closing(socket.socket()) as probe:
                probe.bind(("127.0.0.1", port))
        except OSError:
            claim.close()
            continue
        _mine.append(claim)
        return port
    raise AssertionError("counting does not end")


def _ports() -> range:
    """Return ports that the system gives to nobody by itself, neither to a caller nor for port 0; all, where that leaves few."""
    given = [int(number) for number in _RANGE.read_text().split()]
    below = range(_FIRST, min(given[0], _LAST))
    return below if len(below) >= _ENOUGH else range(_FIRST, _LAST)
